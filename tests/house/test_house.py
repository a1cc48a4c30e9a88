# SPDX-License-Identifier: MPL-2.0
"""The rules of the house, held by reading its files."""

import os
import re
import subprocess
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def tracked(*patterns):
    """Files git knows, or everything in a tree without git."""
    names = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, text=True,
                           capture_output=True, check=True).stdout.split("\n")
    return [name for name in names if name and os.path.exists(os.path.join(ROOT, name))]


def text(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


class Doors(unittest.TestCase):
    """Each foreign library enters by its own door."""

    DOORS = {
        "lmdb.h": {"common/store_lmdb.c"},
        "msgpack.h": {"proto/mp.c"},
        "uv.h": {"common/loop_uv.h"},
        "zmq.h": {"common/msg.h", "common/pump.c", "common/sock.c", "common/zap.c"},
        "czmq.h": {"common/sock_system.c"},
        "sodium.h": {"common/crypto.c", "proto/seal.c"},
        "libconfig.h": {"common/conf.c"},
        "../include/csv.h": {"common/csv.c"},
        "libical/ical.h": {"common/recurrence.c"},
        "jansson.h": {"proto/cloudevents.c", "proto/directory_parse.c",
                      "services/kapula/follow.c", "services/kapula/importreport.c",
                      "services/kapula/output.c", "services/node/intake_json.c"},
        "expat.h": {"services/kapula/xes.c"},
        "zlib.h": {"services/kapula/loginput.c"},
    }
    # What the C library, the kernel and the compiler bring.
    AT_HOME = re.compile(r"(std\w+|string|strings|errno|limits|inttypes|math|time|signal|unistd|fcntl"
                         r"|poll|pthread|dirent|getopt|argp|search|(sys|linux|sanitizer)/\w+)\.h")

    def test_foreign_headers_are_included_at_their_doors_and_every_door_is_used(self):
        found = {}
        for name in tracked("common/*.[ch]", "proto/*.[ch]", "services/**/*.[ch]"):
            for header in re.findall(r"#include <([^>]+)>", text(name)):
                if not self.AT_HOME.fullmatch(header):
                    found.setdefault(header, set()).add(name)
        self.assertEqual(found, self.DOORS)

    def test_common_knows_no_domain_word(self):
        words = re.compile(r"referral|handover|adviser|municipality", re.I)
        found = [name for name in tracked("common/*.[ch]", "common/*.def") if words.search(text(name))]
        self.assertEqual(found, [])


class Sources(unittest.TestCase):
    def test_every_source_names_its_licence_first(self):
        wrong = [name for name in tracked("*.c", "*.h", "*.def", "*.py", "*.cmake", "**/CMakeLists.txt")
                 if "SPDX-License-Identifier: MPL-2.0" not in text(name)[:200]]
        self.assertEqual(wrong, [])

    def test_sources_are_formatted(self):
        names = [name for name in tracked("*.c", "*.h") if "/corpus/" not in name]
        result = subprocess.run(["clang-format", "--dry-run", "--Werror", *names], cwd=ROOT,
                                text=True, capture_output=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr[:4000])

    def test_nothing_is_left_for_later(self):
        later = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
        wrong = [name for name in tracked("*.c", "*.h", "*.py", "*.sh", "compose/*", "tests/run")
                 if later.search(text(name))]
        self.assertEqual(wrong, [])

    def test_functions_are_short(self):
        """Above 60 lines only one flat switch or one table."""
        wrong = []
        for name in tracked("*.c"):
            start = None
            for number, line in enumerate(text(name).split("\n"), 1):
                if line == "{":
                    start = number
                elif line == "}" and start is not None:
                    body = "\n".join(text(name).split("\n")[start:number])
                    if number - start > 60 and body.count("case ") < 10:
                        wrong.append(f"{name}:{start} has {number - start} lines")
                    start = None
        self.assertEqual(wrong, [])

    def test_every_room_has_a_short_readme(self):
        rooms = ["common", "proto"] + sorted(
            os.path.dirname(name) for name in tracked("services/*/CMakeLists.txt"))
        for room in rooms:
            with self.subTest(room=room):
                self.assertLessEqual(len(text(f"{room}/README.md").split("\n")), 31)


class Scripts(unittest.TestCase):
    def test_shell_scripts_pass_shellcheck(self):
        scripts = [name for name in tracked() if os.path.isfile(os.path.join(ROOT, name))
                   and "/corpus/" not in name and self.is_shell(name)]
        self.assertIn("compose/local", scripts)
        result = subprocess.run(["shellcheck", "-x", *scripts], cwd=ROOT, text=True,
                                capture_output=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout)

    @staticmethod
    def is_shell(name):
        with open(os.path.join(ROOT, name), "rb") as file:
            return re.match(rb"#!/bin/(ba)?sh", file.readline()) is not None


class Manuals(unittest.TestCase):
    def test_man_pages_are_well_formed(self):
        pages = tracked("*.1", "*.5", "*.8")
        self.assertTrue(pages)
        result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], cwd=ROOT, text=True,
                                capture_output=True, check=False)
        self.assertEqual(result.returncode, 0, result.stdout)


if __name__ == "__main__":
    unittest.main()
