"""Searching accounts."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework.filters import SearchFilter
from rest_framework.request import Request
from rest_framework.views import APIView

LONGEST_SEARCH = 254  # characters, as of an address of mail


class NameOrAddress(SearchFilter):
    """DRF's, for no more than there may be.

    Each word is two conditions, and anybody may ask: some thousand words took half a minute.
    """

    def get_search_terms(self, request: Request) -> list[str]:
        """Raises ValidationError for a longer one."""
        if len(request.query_params.get(self.search_param, "")) > LONGEST_SEARCH:
            message = f"At most {LONGEST_SEARCH} characters."
            raise ValidationError({self.search_param: [message]}, code="max_length")
        return list(super().get_search_terms(request))

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        (parameter,) = super().get_schema_operation_parameters(view)
        parameter["schema"] |= {"maxLength": LONGEST_SEARCH}
        return [parameter]
