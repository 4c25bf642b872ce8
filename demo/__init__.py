"""One job from post to payout, or many at once, live in the terminal and on real services."""
