"""The browsable API's pages, without a style in their HTML, which our policy does not allow.

DRF's templates have a handful. What they say is in `static/epis/api.css`.
"""

import re
from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BrowsableAPIRenderer

# Only the templates' own: in what comes from elsewhere the quotes are escaped.
STYLE = re.compile(r'(?<=[\s"]) ?style="[^"]*"')


class BrowsablePages(BrowsableAPIRenderer):
    def get_context(self, *args: Any) -> dict[str, Any]:
        return {**super().get_context(*args), "code_style": None}

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        page = super().render(data, accepted_media_type, renderer_context)
        return STYLE.sub("", str(page))
