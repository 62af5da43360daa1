"""What a list of receipts can be narrowed to."""

import django_filters as filters
from django.db.models import QuerySet

from apps.counter.models import Increment
from apps.counter.queries import in_state, with_key


class IncrementFilters(filters.FilterSet):
    key = filters.CharFilter(help_text="The whole key.", method="by_key")
    state = filters.ChoiceFilter(choices=Increment.State.choices, method="by_state")

    class Meta:
        model = Increment
        fields: list[str] = []

    def by_key(self, increments: QuerySet[Increment], name: str, value: str) -> QuerySet[Increment]:
        return with_key(increments, self.request.resolver_match.kwargs["counter_id"], value)

    def by_state(
        self, increments: QuerySet[Increment], name: str, value: str
    ) -> QuerySet[Increment]:
        return increments.filter(in_state(value))
