# SPDX-License-Identifier: MIT
"""Boots the test kernel in QEMU: every firmware and description of the machine,
then damaged slots.  Verdicts come from lines on the console; the time limit is
generous because machines are loaded."""
import hashlib
import os
import shutil
import struct
import subprocess
import sys
import threading

OUT, LOADER = os.environ["OUT"], os.environ["LOADER"]
MKSLOT, MKBUNDLE, MKIMAGE = (os.environ[n] for n in ("MKSLOT", "MKBUNDLE", "MKIMAGE"))
WORK = OUT + "/boot"
FIRMWARE = {
    "edk2": "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
    "uboot": "/usr/lib/u-boot/qemu_arm64/u-boot.bin",
}
LIMIT = 90
MIB = 1 << 20
SLOT_A, SLOT_B, STATE = 37 * MIB, 101 * MIB, 165 * MIB
END = ("kernel: done", "tessera: stopped.")

counts = {True: 0, False: 0}


def start(image, machine, cpu, cpus, firmware, extra):
    """QEMU's console up to one of the last lines."""
    disk = ["-device", "nvme,drive=sys,serial=os0,bootindex=0"]
    if "virtio" in extra:
        disk = ["-device", "virtio-blk-pci,drive=sys,bootindex=0,disable-legacy=on,iommu_platform=on"]
        extra = [e for e in extra if e != "virtio"]
    command = [
        "qemu-system-aarch64", "-M", "virt,gic-version=3,iommu=smmuv3,its=on" + machine,
        "-cpu", cpu, "-smp", str(cpus), "-m", "1G", "-nic", "none", "-display", "none",
        "-monitor", "none", "-serial", "stdio", "-bios", FIRMWARE[firmware],
        "-boot", "menu=on,splash-time=0", "-no-reboot",
        "-drive", "if=none,id=sys,format=raw,file=" + image] + disk + extra
    qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    timer = threading.Timer(LIMIT, qemu.kill)
    timer.start()
    lines = []
    for line in qemu.stdout:
        lines.append(line.decode("latin1").rstrip())
        if any(e in lines[-1] for e in END):
            break
    timer.cancel()
    qemu.kill()
    qemu.wait()
    return "\n".join(lines)


def boot(name, image, *words, machine=",virtualization=on", cpu="cortex-a72", cpus=1,
         firmware="edk2", extra=(), absent=()):
    console = start(image, machine, cpu, cpus, firmware, list(extra))
    missing = [w for w in words if w not in console] + ["not: " + a for a in absent if a in console]
    counts[not missing] += 1
    if missing:
        print("FAILED %s: on the console there is no\n  %s\n%s" % (name, "\n  ".join(missing), console))
    else:
        print("  BOOT    " + name)
    sys.stdout.flush()


def tool(*command):
    subprocess.run(command, check=True)


def fresh(name, source):
    path = WORK + "/" + name + ".img"
    subprocess.run(["cp", "--sparse=always", source, path], check=True)
    return path


def change(image, offset, data):
    with open(image, "r+b") as f:
        f.seek(offset)
        f.write(data)


def seal(header):
    """A slot header with the hash of what stands in it."""
    return header[:480] + hashlib.blake2b(header[:480], digest_size=32).digest()


def changed_header(image, offset, data):
    with open(image, "rb") as f:
        f.seek(SLOT_A)
        header = bytearray(f.read(512))
    header[offset:offset + len(data)] = data
    change(image, SLOT_A, seal(bytes(header)))


WHOLE = ("kernel: EL2 mmu 0 dcache 0 daif 0x3c0 bootinfo good relocated bss 0", "cmdline \"one two\"",
         "0x3000 good", "init entry 0x", "gic 0x8000000 gicr 1 0x80a0000+0xf60000 its 1 0x8080000",
         "maintenance 25 coherent 1", "timer el2 26 virt 27 el1 30 hz 62500000",
         "smmu 0x9050000 event 106 gerror 109 pri 107 sync 108 coherent 1",
         "uart 0x9000000 kind 1 intid 33", "ecam 0x4010000000 segment 0 bus 0-255 coherent 1",
         "source %s psci 1 slot 0 trial 0", "cpu 0x0 enabled 1")
NVME_OFF = ("nvme command 0x", " cc 0x0 csts 0x0")


def whole(source):
    return tuple(w.replace("%s", source) for w in WHOLE)


def matrix(image):
    acpi, tree = whole("ACPI"), whole("device tree")
    boot("edk2_acpi_a72", image, *acpi, *NVME_OFF, "nvme command 0x3 ",
         "mem64 0x8000000000+0x8000000000")
    boot("edk2_dt_a72_4", image, *tree, *NVME_OFF, "cpu 0x3 enabled 1", "masters 33", "seed 32",
         "mem32 0x10000000+0x2eff0000 mem64 0x8000000000+0x8000000000", cpus=4,
         machine=",virtualization=on,acpi=off")
    boot("edk2_acpi_a76_4", image, *acpi, "cpu 0x3 enabled 1", cpu="cortex-a76", cpus=4)
    boot("edk2_dt_max", image, *tree, cpu="max", machine=",virtualization=on,acpi=off")
    boot("edk2_acpi_rng_and_framebuffer", image, *acpi, "seed 64 bytes", "800x600", extra=[
        "-device", "virtio-rng-pci,disable-legacy=on,iommu_platform=on", "-device", "ramfb"])
    boot("edk2_acpi_virtio_disk", image, *acpi, extra=["virtio"])
    boot("edk2_kernel_option", image, *acpi, extra=["-kernel", LOADER])
    boot("uboot_a72_4", image, *tree, *NVME_OFF, "cpu 0x3 enabled 1", firmware="uboot", cpus=4)
    boot("uboot_max", image, *tree, firmware="uboot", cpu="max")
    boot("el1_is_refused", image, "needs EL2", "add virtualization=on", machine="",
         absent=["kernel: EL"])


def damage(image, kernel, bundle, good_slot):
    """Slot A is damaged in one way each; B is whole."""
    b_boots = ("slot 1 trial 0", "kernel: done")

    def with_b(name):
        path = fresh(name, image)
        with open(good_slot, "rb") as f:
            change(path, SLOT_B, f.read())
        tool(MKSLOT, "-o", WORK + "/state", "--state", "A=good,B=good")
        with open(WORK + "/state", "rb") as f:
            change(path, STATE, f.read(512))
        return path

    def slot_of(name, kernel_file, bundle_file):
        path = with_b(name)
        tool(MKSLOT, "-o", WORK + "/slot", "--kernel", kernel_file, "--bundle", bundle_file)
        with open(WORK + "/slot", "rb") as f:
            change(path, SLOT_A, f.read())
        return path

    def file_of(name, data):
        path = WORK + "/" + name
        with open(path, "wb") as f:
            f.write(data)
        return path

    path = with_b("magic")
    change(path, SLOT_A, b"\0" * 8)
    boot("slot_without_header", path, "slot A refused: header: wrong magic", *b_boots)
    path = with_b("header")
    change(path, SLOT_A + 300, b"x")
    boot("slot_with_damaged_header", path, "slot A refused: header: wrong hash", *b_boots)
    path = with_b("length")
    changed_header(path, 48, struct.pack("<Q", 65 * MIB))
    boot("slot_longer_than_partition", path, "beyond the partition's end", *b_boots)
    path = with_b("hash")
    change(path, SLOT_A + 5000, b"damage")
    boot("slot_with_damaged_content", path, "slot A refused: content: wrong hash", *b_boots)
    with open(kernel, "rb") as f:
        elf = bytearray(f.read())
    path = slot_of("elf", file_of("short.elf", elf[:100]), bundle)
    boot("slot_with_broken_kernel", path, "slot A refused: kernel.elf: ELF program headers", *b_boots)
    elf[18] = 62
    path = slot_of("machine", file_of("machine.elf", elf), bundle)
    boot("slot_with_foreign_kernel", path, "kernel.elf: ELF for machine 62", *b_boots)
    path = slot_of("bundle", kernel, file_of("none.bundle", b"no bundle" * 1000))
    boot("slot_with_broken_bundle", path, "slot A refused: base.bundle: wrong magic", *b_boots)
    tool(MKBUNDLE, "-o", WORK + "/noinit.bundle", "other=" + __file__)
    path = slot_of("noinit", kernel, WORK + "/noinit.bundle")
    boot("slot_without_init", path, "base.bundle: has no member init", *b_boots)
    tool(MKBUNDLE, "-o", WORK + "/badinit.bundle", "init=" + __file__)
    path = slot_of("badinit", kernel, WORK + "/badinit.bundle")
    boot("slot_with_broken_init", path, "slot A refused: init: not an ELF file", *b_boots)
    path = with_b("both")
    change(path, SLOT_A, b"\0" * 8)
    change(path, SLOT_B + 5000, b"damage")
    boot("both_slots_damaged", path, "slot A refused: header: wrong magic",
         "slot B refused: content: wrong hash", "cannot boot: neither slot", "tessera: stopped",
         absent=["kernel: EL"])
    boot("both_slots_damaged_uboot", path, "slot B refused: content: wrong hash",
         "cannot boot: neither slot", firmware="uboot", absent=["kernel: EL"])
    path = fresh("gpt", image)
    change(path, 512 + 60, b"damage")
    boot("damaged_partition_table_has_a_copy", path, "slot 0 trial 0", "kernel: done",
         extra=["-kernel", LOADER])
    path = fresh("state", image)
    change(path, STATE, b"\0" * 512)
    boot("without_boot_state", path, "boot state: no valid record", "slot 0 trial 0", "kernel: done")


def trial(image, good_slot):
    """A new slot B has two boots to report health; then A comes back for good."""
    path = fresh("trial", image)
    with open(good_slot, "rb") as f:
        change(path, SLOT_B, f.read())
    tool(MKSLOT, "-o", WORK + "/state", "--state", "A=good,B=trial:2", "--preferred", "B")
    with open(WORK + "/state", "rb") as f:
        change(path, STATE, f.read(512))
    boot("trial_first_boot", path, "slot 1 trial 1", "slot B (trial boot)")
    boot("trial_second_boot", path, "slot 1 trial 1")
    boot("trial_failed_goes_back", path, "slot 0 trial 0")
    boot("trial_failed_stays_back", path, "slot 0 trial 0")
    with open(path, "rb") as f:
        f.seek(STATE)
        records = f.read(8192)
    with open(WORK + "/state", "wb") as f:
        f.write(records)
    shown = subprocess.run([MKSLOT, "--show", WORK + "/state"], capture_output=True, text=True)
    good = "sequence 4, preferred B, A good, tries 0, B bad" in shown.stdout
    counts[good] += 1
    if not good:
        print("FAILED trial_is_recorded: " + shown.stdout + shown.stderr)


def main():
    shutil.rmtree(WORK, ignore_errors=True)
    os.makedirs(WORK)
    kernel, bundle, image = (OUT + "/" + n for n in ("kernel.elf", "base.bundle", "test.img"))
    good_slot = WORK + "/good"
    tool(MKSLOT, "-o", good_slot, "--kernel", kernel, "--bundle", bundle, "--cmdline", "B")
    matrix(fresh("whole", image))
    damage(image, kernel, bundle, good_slot)
    trial(image, good_slot)
    shutil.rmtree(WORK)
    print("%d passed, %d failed" % (counts[True], counts[False]))
    return 1 if counts[False] else 0


sys.exit(main())
