#!/usr/bin/env bash
# The site: bash docs/build.sh, then target/docs/html/README.html. Pages are the Markdown files of the repository; the headers
# come by doxygen, the crates by cargo doc. What is missing is installed: doxygen by apt, Sphinx by pip into target/docs/venv.
set -euo pipefail
cd "$(dirname "$0")/.."
out=target/docs requirements=docs/site/requirements.txt
mkdir -p "$out"
command -v doxygen >/dev/null || { apt-get update -q && apt-get install -qy doxygen; }
if ! cmp -s "$requirements" "$out/venv/requirements.txt"; then
  python3 -m venv --clear "$out/venv" || { apt-get install -qy python3-venv && python3 -m venv --clear "$out/venv"; }
  "$out/venv/bin/pip" install -q --disable-pip-version-check -r "$requirements"
  cp "$requirements" "$out/venv/"
fi
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace
rm -rf "$out/xml" "$out/html" "$out/rust"
cp -r target/doc "$out/rust"
{ cat docs/site/Doxyfile; echo "OUTPUT_DIRECTORY = $out"; } | doxygen -
"$out/venv/bin/sphinx-build" -W --keep-going -q -E -b html -c docs/site -d "$out/trees" . "$out/html"
mv "$out/rust" "$out/html/rust"
echo "written to $out/html/README.html"
