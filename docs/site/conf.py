"""The site: the repository's own pages, the headers by doxygen, the Rust documentation beside them.

The source folder is the root of the repository; docs/build.sh calls it.
"""

import html
import os
import shutil
import subprocess
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "target/docs"

project = "mountainpass"
author = "the authors of mountainpass"
version = release = next(
    line.split('"')[1] for line in (ROOT / "Cargo.toml").read_text().splitlines() if line.startswith("version")
)
extensions = ["myst_parser", "breathe"]
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/site/*.md", "examples/*/README.md", "backends/network/data/README.md"]
exclude_patterns = ["target", ".*"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4
breathe_projects = {"mountainpass": str(TARGET / "xml")}
breathe_default_project = "mountainpass"
breathe_show_include = False
breathe_domain_by_extension = {"h": "c"}
# `typedef struct x { .. } x` declares x twice, for breathe.
suppress_warnings = ["duplicate_declaration.c"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1100px", "sidebar_width": "240px", "fixed_sidebar": True, "code_font_size": "0.8em"}
html_sidebars = {"**": ["about.html", "navigation.html", "searchbox.html"]}
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = html_show_copyright = False
toc_object_entries = False
pygments_style = "friendly"

# The pages of each part, in the order of the README.
CONTENTS = {
    "Use it": ["docs/reference", "docs/networks", "examples/python/README", "examples/torch/README"],
    "Embed it": ["docs/c-abi", "docs/site/headers"],
    "Write a backend": ["docs/writing-a-backend"],
    "Understand it": ["docs/mathematics", "docs/kinks", "docs/benchmarks"],
    "Work on it": ["CONTRIBUTING", "ARCHITECTURE", "docs/decisions", "docs/site/crates", "backends/network/data/README", "CHANGELOG"],
}
HEADERS = ["mountainpass_base.h", "mountainpass.h", "mountainpass_backend.h"]
# Folders that a page links to: copied beside the pages, with a list of what is in them.
linked = set()


def generated(page):
    """What a page has on the site only: contents, what doxygen and rustdoc have made."""
    if page == root_doc:
        for caption, pages in CONTENTS.items():
            yield from ["```{toctree}", ":hidden:", f":caption: {caption}", "", *(f"/{name}" for name in pages), "```", ""]
    if page == "docs/site/headers":
        for header in HEADERS:
            yield from [f"## {header}", f"```{{doxygenfile}} {header}", ":sections: detaileddescription define enum typedef innerclass public-attrib func", "```", ""]
    if page == "docs/site/crates":
        for crate in sorted(TARGET.glob("rust/*/index.html")):
            if crate.parent.name != "src":
                yield f'- <a href="../../rust/{crate.parent.name}/index.html">{crate.parent.name}</a>'


def extend(app, page, source):
    source[0] += "\n" + "\n".join(generated(page)) + "\n"


def to_folders(app, doctree):
    """Links to folders lead to copies of them."""
    page = app.env.docname
    for node in list(doctree.findall(addnodes.pending_xref)):
        folder = ((ROOT / page).parent / node.get("reftarget", "")).resolve()
        if folder.is_dir():
            name = folder.relative_to(ROOT)
            linked.add(name)
            up = os.path.relpath(Path("source") / name / "index.html", Path(page).parent)
            node.replace_self(nodes.reference("", "", *node.children, internal=False, refuri=up))


def copy_folders(app, failure):
    for name in sorted(linked if not failure else []):
        listed = subprocess.run(["git", "ls-files", name], cwd=ROOT, capture_output=True, text=True, check=True)
        files = [Path(file) for file in listed.stdout.splitlines()]
        for file in files:
            copy = Path(app.outdir) / "source" / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, copy)
        links = "".join(f'<li><a href="{file.relative_to(name)}">{html.escape(str(file))}</a></li>\n' for file in files)
        page = f"<!doctype html><meta charset=utf-8><title>{name}</title>\n<h1>{name}</h1>\n<ul>\n{links}</ul>\n"
        (Path(app.outdir) / "source" / name / "index.html").write_text(page, encoding="utf-8")


def setup(app):
    app.connect("source-read", extend)
    app.connect("doctree-read", to_folders)
    app.connect("build-finished", copy_folders)
