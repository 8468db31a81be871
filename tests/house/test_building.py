#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Who builds is told what is missing: the packages, the same wherever they are listed, and the protocols without which
nothing could be shown."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))

# Where wayland-protocols is not installed, whatever is on this machine.
PKG_CONFIG = """#!/bin/sh
case " $* " in *" wayland-protocols "*) exit 1 ;; esac
exec pkg-config "$@"
"""
# As much of it as makes it the protocol for windows.
XDG_SHELL = """<protocol name="xdg_shell">
  <interface name="xdg_wm_base" version="1"><request name="destroy" type="destructor"/></interface>
</protocol>
"""


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


class Packages(unittest.TestCase):
    def test_lists_agree(self):
        """scripts/lib/packages.sh is where they are known."""
        known = re.search(r"^packages_build=\((.*?)\)", read("scripts/lib/packages.sh"), re.M | re.S)[1].split()
        readme = re.search(r"^Debian's packages for that: (.*?)\n\n", read("README.md"), re.M | re.S)[1]
        control = re.search(r"^Build-Depends:\n(.*?)^\S", read("packaging/debian/control"), re.M | re.S)[1]
        packaged = set(re.findall(r"^ ([a-z0-9.+-]+)", control, re.M)) - {"debhelper-compat"}
        # A compiler and its library are there wherever packages are built.
        self.assertEqual(packaged, set(known) - {"gcc", "libc6-dev"}, "packaging/debian/control")
        self.assertEqual(sorted(known), sorted(re.findall(r"`([a-z][a-z0-9.+-]*)`", readme)), "README.md")


class Configured(unittest.TestCase):
    """Where the build finds no protocols."""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="building-")
        self.addCleanup(self.dir.cleanup)
        self.pkg_config = self.path("pkg-config")
        with open(self.pkg_config, "w") as f:
            f.write(PKG_CONFIG)
        os.chmod(self.pkg_config, 0o755)

    def path(self, *names):
        return os.path.join(self.dir.name, *names)

    def configure(self, *options):
        env = {k: v for k, v in os.environ.items() if not k.startswith("MESON")} | {"PKG_CONFIG": self.pkg_config}
        return subprocess.run(["meson", "setup",
                               "-Dtests=false", "-Dman=disabled", "-Dvirgl=disabled", *options, self.path("build"), ROOT],
                              env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, stdin=subprocess.DEVNULL)


class WithoutX11(Configured):
    def test_nothing_of_it_is_installed(self):
        """The program, its manual page, its units, its completions; the others are."""
        r = self.configure("-Dcore_only=true", "-Dx11=disabled", "-Dman=auto")
        self.assertEqual(r.returncode, 0, r.stdout)
        r = subprocess.run(["meson", "introspect", "--installed", self.path("build")], stdout=subprocess.PIPE, text=True, check=True)
        installed = sorted(json.loads(r.stdout).values())
        self.assertEqual([path for path in installed if "x11" in os.path.basename(path)], [])
        self.assertIn("wayvsock-guest", [os.path.basename(path) for path in installed])


class Protocols(Configured):
    def test_none(self):
        """Configuring ends with the cure, unless it was asked for that."""
        r = self.configure()
        self.assertNotEqual(r.returncode, 0, r.stdout)
        for part in ("xdg-shell.xml", "wayland-protocols", "-Dprotocol_dirs=", "-Dcore_only=true"):
            self.assertIn(part, r.stdout)
        shutil.rmtree(self.path("build"))
        r = self.configure("-Dcore_only=true")
        self.assertEqual(r.returncode, 0, r.stdout)

    def test_a_folder_of_ones_own(self):
        os.makedirs(self.path("protocols", "stable"))
        with open(self.path("protocols", "stable", "xdg-shell.xml"), "w") as f:
            f.write(XDG_SHELL)
        r = self.configure(f"-Dprotocol_dirs={self.path('protocols')}")
        self.assertEqual(r.returncode, 0, r.stdout)
        self.assertIn("xdg_wm_base 1", r.stdout)


if __name__ == "__main__":
    unittest.main()
