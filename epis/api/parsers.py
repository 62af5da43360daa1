"""Bodies, read so that none of them is a fault of ours."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser
from rest_framework.utils.json import strict_constant

DECODER = json.JSONDecoder(parse_constant=strict_constant)


class BoundedJSONParser(JSONParser):
    """JSON of characters, in UTF-8 (RFC 8259), nested no deeper than Python's own recursion goes.

    DRF catches what is not JSON, but not the RecursionError of a body of "[[[[…", nor
    the half of a character that "\\ud800" is: an answer that repeats it cannot be encoded.
    """

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            text = stream.read().decode()
            data = DECODER.decode(text)
            if "\\u" in text:  # only so can it be half a character
                json.dumps(data, ensure_ascii=False).encode()
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None
        except UnicodeEncodeError:
            raise ParseError("JSON parse error - a lone surrogate is no character") from None
        except ValueError as error:
            raise ParseError(f"JSON parse error - {error}") from None
        return data
