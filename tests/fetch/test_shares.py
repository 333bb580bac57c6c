"""Shares of tenants: one alone may have all, one of several leaves some, and no slot is lost."""

import asyncio
import random
from collections import Counter

from streams.fetch.room.byte_budget import ByteBudget
from streams.fetch.room.shares import TenantShares, TenantSlots
from streams.fetch.room.slots import FetchSlots


def test_a_tenant_alone_may_have_all() -> None:
    """A worker that has seen no other one knows nobody for whom to leave anything."""
    shares = TenantShares(10)
    assert shares.may_take("a", 10)
    assert not shares.may_take("a", 11)
    shares.charge("a", 10)
    assert not shares.is_over("a")
    assert not shares.may_take("a")


def test_one_of_several_leaves_some_for_the_next() -> None:
    """Four times as much as is left, and each the same where several want all."""
    shares = TenantShares(100)
    shares.charge("b")
    shares.charge("b", -1)
    taken = 0
    while shares.may_take("a"):
        shares.charge("a")
        taken += 1
    assert taken == 80
    assert shares.is_over("a")
    assert shares.may_take("c", 20)
    shares.charge("c", 16)
    assert not shares.may_take("c")
    assert shares.may_take("b")


def test_one_that_has_nothing_is_never_beyond_its_share() -> None:
    """Also where all is one slot."""
    shares = TenantShares(1)
    for tenant in ("a", "b", "a"):
        assert shares.may_take(tenant)
        shares.charge(tenant)
        assert not shares.may_take("c")
        shares.charge(tenant, -1)


async def test_slots_are_neither_lost_nor_doubled() -> None:
    """Law: whoever comes, waits, is cancelled or leaves, no more hold one than there are; all come back."""
    dice, slots, holding, most = random.Random(5), TenantSlots(6), Counter[str](), list[int]()

    async def fetch(tenant: str, turns: int) -> None:
        await slots.acquire(tenant)
        holding[tenant] += 1
        most.append(holding.total())
        try:
            for _ in range(turns):
                await asyncio.sleep(0)
        finally:
            holding[tenant] -= 1
            slots.release(tenant)

    tasks = []
    for _ in range(500):
        tasks.append(asyncio.create_task(fetch(dice.choice("aaab"), dice.randrange(5))))
        if dice.random() < 0.4:
            dice.choice(tasks).cancel()
        if dice.random() < 0.5:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks, return_exceptions=True)
    assert max(most) in {5, 6}
    assert slots.free == 6
    assert not slots._waiting


async def test_a_tenant_whose_hosts_never_answer_leaves_slots_to_others() -> None:
    """Its fetches hold all places apart that are its share, and wait for slots; another's begins at once."""
    slots, begun = FetchSlots(5, lambda: True), Counter[str]()

    async def fetch(tenant: str) -> None:
        async with slots.hold(tenant):
            begun[tenant] += 1
            await asyncio.Event().wait()

    first = asyncio.create_task(fetch("quiet"))
    await asyncio.sleep(0)
    hostile = [asyncio.create_task(fetch("hostile")) for _ in range(50)]
    async with asyncio.timeout(10):
        while begun["hostile"] < 12 + 3:  # four fifths of 15 places, and of the slots that are left
            await asyncio.sleep(0.01)
    last = asyncio.create_task(fetch("quiet"))
    await asyncio.sleep(0)
    assert begun["quiet"] == 2
    for task in (first, *hostile, last):
        task.cancel()
    await asyncio.gather(first, *hostile, last, return_exceptions=True)


def test_what_a_tenant_claims_leaves_memory_to_others() -> None:
    """Claims of one tenant's many hosts take its share; it waits then, and memory is not called short."""
    budget = ByteBudget(1_100, 100, 60)
    budget.reserve("honest.test", "honest").expect(1)
    claims = [budget.reserve(f"h{number}.test", "hostile") for number in range(40)]
    held = [claim for claim in claims if claim.expect(50)]
    assert 700 <= sum(claim.held for claim in held if claim is not budget._whole) <= 800
    assert not budget.is_short
    assert budget.reserve("other.test", "honest").expect(100)
