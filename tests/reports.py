#!/usr/bin/python3
# SPDX-License-Identifier: MPL-2.0
"""tests/reports.py FOLDER: names the sanitizer logs in it that tell of something wrong.

Criterion's runner leaks some bytes of its own at exit. A suppression by its library's name would
hide every leak of a test, since the runner calls the tests; so a log is passed over only when each
leak in it was allocated by the runner itself (the frame right above the allocator).
"""
import os
import re
import sys


def is_the_runners(text):
    """Only leaks, each allocated by libcriterion's own code."""
    if "ERROR: LeakSanitizer" not in text or "ERROR: AddressSanitizer" in text:
        return False
    direct = re.findall(r"^Direct leak .*?\n\s+#0 .*?\n\s+#1 (.*)$", text, re.M)
    return bool(direct) and all("libcriterion.so" in caller for caller in direct)


def main():
    folder = sys.argv[1]
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        with open(path, encoding="utf-8", errors="replace") as file:
            if not is_the_runners(file.read()):
                print(path)


if __name__ == "__main__":
    main()
