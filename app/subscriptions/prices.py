"""What tiers and packs are called at Stripe. A look-up key names the amount too: a new amount is a new price."""

from __future__ import annotations

from app.gateways.billing import PACK, BillingGateway, Price, PriceWanted
from app.subscriptions.packs import PACKS, Pack
from app.subscriptions.tiers import TIERS, Tier


def tier_price(tier: Tier) -> PriceWanted:
    """The monthly price of a tier. Its metadata keeps the credits that were promised for it."""
    return PriceWanted(
        lookup_key=f"nimmit_tier_{tier.name}_{tier.price_cents}_{tier.credits_per_period}",
        product_name=f"Nimmit {tier.name.title()}",
        unit_cents=tier.price_cents,
        monthly=True,
        metadata={"tier": tier.name.value, "credits": str(tier.credits_per_period)},
    )


def pack_price(pack: Pack) -> PriceWanted:
    """The price of a pack."""
    return PriceWanted(
        lookup_key=f"nimmit_pack_{pack.name}_{pack.price_cents}_{pack.credits}",
        product_name=f"Nimmit credits, {pack.name}",
        unit_cents=pack.price_cents,
        monthly=False,
        metadata={PACK: pack.name.value, "credits": str(pack.credits)},
    )


async def provision(gateway: BillingGateway) -> list[Price]:
    """Make every price that Stripe lacks; repeatable.

    Raises:
        app.gateways.payments.PaymentError: Stripe cannot be reached, or has a price of that key with another amount.
    """
    wanted = [*map(tier_price, TIERS.values()), *map(pack_price, PACKS.values())]
    return [await gateway.ensure_price(each) for each in wanted]
