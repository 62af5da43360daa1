"""The schema is made from the views without a guess."""

from io import StringIO

from django.core.management import call_command


class TestSchema:
    def test_is_valid_and_made_without_a_warning(self) -> None:
        schema = StringIO()

        call_command("spectacular", "--validate", "--fail-on-warn", stdout=schema)

        assert "/api/user/create:" in schema.getvalue()
