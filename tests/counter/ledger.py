"""What must hold of a counter's ledger at any moment, checked without the code under test."""

from collections import Counter as Counted
from hashlib import sha256
from itertools import accumulate, pairwise
from uuid import UUID

from apps.counter.models import Counter, Increment, Key


def faults_of(counter_id: UUID) -> list[str]:
    """What is wrong with a counter and its ledger; empty when all is well.

    In the order of their places, which are 1, 2, 3 and so on, the results must be a walk from 0
    to the counter's value in which each step is one increment's amount: so none is lost,
    doubled, or shares its place with another. Nor does time go back on the way.
    """
    faults = []
    counter = Counter.objects.get(id=counter_id)
    increments = list(Increment.objects.filter(counter=counter_id))
    keys = Counted(increment.key for increment in increments)
    faults += [f"key {key} was counted twice" for key, times in keys.items() if times > 1]
    digests = {sha256(counter_id.bytes + key.encode()).digest()[:15]: key for key in keys}
    held = {
        digests[bytes(each.digest)]: each.increment_id
        for each in Key.objects.filter(digest__in=digests)
    }
    faults += [
        f"key {key} is not held for its increment"
        for key in {each.key for each in increments if held.get(each.key) != each.id}
        if keys[key] == 1
    ]

    settled = sorted(
        (each for each in increments if each.settled_at), key=lambda each: each.place or 0
    )
    places = [each.place for each in settled]
    if places != list(range(1, counter.entries + 1)):
        faults.append(f"the places are {places}, the counter has {counter.entries} entries")
    times = [each.settled_at for each in settled if each.settled_at]
    if any(later < earlier for earlier, later in pairwise(times)):
        faults.append("one was settled earlier than one before it")
    if counter.settled_at != max(times, default=None):
        faults.append("the counter does not say when the last was settled")

    applied = [each for each in settled if each.result is not None]
    results = [each.result for each in applied]
    if results != list(accumulate(each.amount for each in applied)):
        faults.append(f"the results {results} are not a walk")
    if counter.value != (total := sum(each.amount for each in applied)):
        faults.append(f"the value is {counter.value}, the ledger says {total}")
    return faults
