"""What the numbers were measured on and with."""

import datetime
import os
import platform

import tools


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def memory():
    return f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / (1 << 30):.0f} GiB"


def file_system(directory):
    command = ["findmnt", "--noheadings", "--first-only", "--output=FSTYPE", "--target"]
    return tools.output_of(*command, directory)


def distribution():
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def describe(directory, chosen):
    about = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{cpu_model()}, {os.cpu_count()} cores, {memory()}",
        "system": f"{distribution()}, Linux {platform.release()}",
        "file system": file_system(directory),
    }
    about["zlib"] = tools.package_version("zlib1g")
    about["OpenSSL"] = tools.package_version("libssl3")
    for tool in chosen:
        version = tool.version()
        if version:
            about[tool.name] = version
    return about
