"""A small stateful Stripe for one machine: the real SDK talks to it by its base address (see README.md)."""
