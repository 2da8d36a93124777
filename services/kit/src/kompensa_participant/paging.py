"""Lists come in pages: at most `limit` rows, from after the last id of the page before."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=500, description="Rows of a page, at most.")]
After = Annotated[UUID | None, Query(description="The last id of the page before; left out for the first page.")]
