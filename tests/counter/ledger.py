"""What must hold of a counter's ledger at any moment, checked without the code under test."""

from uuid import UUID

from apps.counter.models import Counter, Increment


def faults_of(counter_id: UUID) -> list[str]:
    """What is wrong with a counter and its ledger; empty when all is well.

    The results, ordered, must be a walk from 0 to the counter's value in which each step is
    one increment's amount: so none is lost, doubled, or shares its place with another.
    """
    faults = []
    increments = list(Increment.objects.filter(counter=counter_id))
    keys = [increment.key for increment in increments]
    faults += [f"key {key} was counted twice" for key in set(keys) if keys.count(key) > 1]

    applied = [increment for increment in increments if increment.result is not None]
    value = Counter.objects.values_list("value", flat=True).get(id=counter_id)
    if value != (total := sum(increment.amount for increment in applied)):
        faults.append(f"the value is {value}, the ledger says {total}")

    # Every result but the last is where exactly one other increment began.
    ends = sorted([0, *(increment.result or 0 for increment in applied)])
    begins = sorted([value, *((increment.result or 0) - increment.amount for increment in applied)])
    if ends != begins:
        faults.append(f"the results {ends[1:]} are not a walk to {value}")
    return faults
