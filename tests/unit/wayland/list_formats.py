#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""list_formats.py HEADER…: the pixel formats of drm_fourcc.h (the first HEADER that is there), as lines
FORMAT(NAME, code)."""
import os
import re
import sys

header = next((path for path in sys.argv[1:] if os.path.exists(path)), None)
if header is None:
    sys.exit(f"list_formats.py: none of {', '.join(sys.argv[1:])}")
with open(header, encoding="utf-8") as f:
    for name, code in re.findall(r"^#define DRM_FORMAT_(\w+)\s+(fourcc_code\(.*?\))", f.read(), re.MULTILINE):
        print(f"FORMAT({name}, {code})")
