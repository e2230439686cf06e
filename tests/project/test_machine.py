"""What is recorded of the machine."""

from stages.project.machine import cpu_identity, cpu_model


def test_processor_name_is_read_from_the_kernel(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Some CPU @ 2 GHz\n")
    assert cpu_model(tmp_path / "cpuinfo") == "Some CPU @ 2 GHz"
    assert cpu_model(tmp_path / "absent")


X86 = """processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
model name\t: Some EPYC
stepping\t: 1
microcode\t: 0x1
cpu MHz\t\t: {mhz}
flags\t\t: fpu sse2 avx2 fma smep ht

processor\t: 1
model name\t: Some EPYC
"""


def test_processors_of_one_name_differ_by_family_instructions_and_caches(tmp_path):
    def identity(cpuinfo: str, *sizes: str) -> str:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
        for index, size in enumerate(sizes):
            (tmp_path / f"index{index}").mkdir(exist_ok=True)
            (tmp_path / f"index{index}/size").write_text(f"{size}\n")
        return cpu_identity(tmp_path / "cpuinfo", tmp_path)

    one = X86.format(mhz="2000")
    found = identity(one, "32K", "1024K")
    assert found == "vendor_id AuthenticAMD; cpu family 25; model 17; stepping 1; avx2 fma sse2; caches 32K 1024K"
    assert identity(X86.format(mhz="2500"), "32K", "1024K") == found  # the clock changes from second to second
    others = [identity(one.replace(*change)) for change in (("family\t: 25", "family\t: 23"), ("17", "1"), (" avx2", ""))]
    assert len({found, *others, identity(one, "32K", "512K")}) == 5


def test_arm_tells_parts_in_place_of_families(tmp_path):
    (tmp_path / "cpuinfo").write_text(
        "processor\t: 0\nFeatures\t: fp asimd sve aes\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n"
    )
    assert cpu_identity(tmp_path / "cpuinfo", tmp_path) == "CPU implementer 0x41; CPU part 0xd40; asimd sve"
    assert cpu_identity(tmp_path / "absent", tmp_path) == ""
