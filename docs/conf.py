"""Sphinx configuration. The build runs with ``-n -W``: a reference that leads nowhere is an error."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.pycode import ModuleAnalyzer
from sphinx.util.nodes import make_refnode

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.addnodes import pending_xref
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

_HERE = Path(__file__).parent
sys.path[:0] = [str(_HERE / "_ext"), str(_HERE.parent)]  # our own directives, which read what tests/matrix measured

project = "mtls"
author = "the mtls contributors"
project_copyright = "the mtls contributors"
release = installed_version("mtls-kit")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "diagnosis_directives",
    "catalogue_directive",
]
exclude_patterns = ["_build", "_ext"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_class_signature = "mixed"
python_use_unqualified_type_names = True
nitpicky = True

# Links into the documentation of Python and cryptography need the network, and a build must not: they are made only
# where MTLS_DOCS_INTERSPHINX is set (as for the published site). Otherwise references to names of other projects stay
# plain text, and only these: a wrong reference to a name of our own still fails the build.
if os.environ.get("MTLS_DOCS_INTERSPHINX"):
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "cryptography": ("https://cryptography.io/en/latest/", None),
    }
else:
    nitpick_ignore_regex = [
        (
            r"py:.*",
            r"(abc|argparse|asyncio|collections|contextlib|cryptography|datetime|enum|functools|ipaddress)(\..+)?",
        ),
        (r"py:.*", r"(logging|os|pathlib|socket|ssl|threading|types|typing|typing_extensions|x509)(\..+)?"),
        (r"py:.*", r"(aiohttp|anyio|httpx|requests|starlette|trio|websockets)(\.\w+)+"),
        # the same as annotations write them after `from ... import`
        (
            r"py:(class|obj)",
            r"Certificate|CertificateRevocationList|CertificateSigningRequest|PrivateKeyTypes|SSLContext",
        ),
        (r"py:(class|obj)", r"Buffer|Callable|Iterable|Iterator|Mapping|NoReturn|Path|PathLike|Self|Sequence"),
        (r"py:(class|obj)", r"HTTPConnection|Protocol|Retry|TLSStream"),
    ]

html_theme = "furo"
html_title = "mtls"
html_copy_source = False
html_show_sphinx = False


def _link_to_public_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element
) -> nodes.reference | None:
    """Lead a name of ours to the one place where it is documented.

    The classes live in private modules and are documented under the facade, ``mtls.Keystore``; annotations, bases and
    docstrings name them as the source does. A name that is documented nowhere is left to fail the build.
    """
    if node.get("refdomain") != "py":
        return None
    target = node["reftarget"]
    names = [f"mtls.{target}", f"mtls.testing.{target}"]
    if target.startswith("mtls."):
        last = target.rsplit(".", maxsplit=1)[-1]
        names += [f"mtls.{last}", f"mtls.testing.{last}"]
    for name in names:
        if place := env.domains.python_domain.objects.get(name):
            return make_refnode(app.builder, node["refdoc"], place.docname, place.node_id, content, name)
    return None


def _show_public_bases(_app: Sphinx, _name: str, _of: type, _options: object, bases: list[type]) -> None:
    """Show what a private base class is made of instead of its name."""
    bases[:] = [
        shown
        for base in bases
        for shown in (
            base.__bases__ if base.__name__.startswith("_") and base.__module__.startswith("mtls") else (base,)
        )
        if shown is not object
    ]


def _read_constant(_app: Sphinx, what: str, name: str, _of: object, _options: object, lines: list[str]) -> None:
    """Give a constant of the facade the docstring that stands below it in its private module."""
    if what == "data" and name.startswith("mtls."):
        attributes = ModuleAnalyzer.for_module("mtls._policy").find_attr_docs()
        lines[:] = attributes["", name.removeprefix("mtls.")]


def setup(app: Sphinx) -> None:
    """Register the three rules."""
    app.connect("missing-reference", _link_to_public_name)
    app.connect("autodoc-process-bases", _show_public_bases)
    app.connect("autodoc-process-docstring", _read_constant)
