"""Templates to text: the guide and the sources."""

from __future__ import annotations

from typing import Any

from edge_deeplab.errors import MissingExtraError


def render(template: str, **values: Any) -> str:
    """Fill a template of this package. Nothing is escaped: what goes into source code is quoted before.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("jinja2", "convert", "a bundle") from error
    environment = Environment(
        loader=PackageLoader("edge_deeplab.bundle"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["number"] = "{:g}".format
    return environment.get_template(template).render(values)
