/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own exceptions.  There is no way on from here: name the cause,
 * print the registers, stop.  A release kernel has no path that leads here;
 * hardware errors apart.
 */
#include "arch_arm64.h"

/* As vectors.S leaves them. */
enum { FRAME_SP = 31, FRAME_PC, FRAME_PSTATE, FRAME_ESR, FRAME_FAR };

static void
put(const char *text)
{
	size_t n = 0;

	while (text[n] != '\0')
		n++;
	arch_console_write(text, n);
}

static void
put_hex(uint64_t value)
{
	char digits[16];

	for (int i = 15; i >= 0; i--, value >>= 4)
		digits[i] = "0123456789abcdef"[value & 0xf];
	arch_console_write(digits, sizeof(digits));
}

static void
put_register(const char *name, uint64_t value)
{
	put(name);
	put(" ");
	put_hex(value);
}

static const char *
cause(uint64_t kind, uint64_t esr)
{
	static const char *const kinds[] = { "synchronous exception", "IRQ", "FIQ", "SError" };

	if ((kind & 3) != 0)
		return kinds[kind & 3];
	switch (ESR_EC(esr)) {
	case EC_UNKNOWN:	return "undefined instruction";
	case EC_FP:		return "floating-point instruction in the kernel";
	case EC_IABT_SAME:	return "instruction abort";
	case EC_DABT_SAME:	return "data abort";
	case EC_PC_ALIGN:	return "misaligned pc";
	case EC_SP_ALIGN:	return "misaligned sp";
	case EC_BRK:		return "breakpoint";
	default:		return kinds[0];
	}
}

_Noreturn void
crash_exception(uint64_t kind, const uint64_t *frame)
{
	put("\nkernel: ");
	put(cause(kind, frame[FRAME_ESR]));
	put_register(" at EL2, cpu", cpu_self()->id);
	put_register("\n pc", frame[FRAME_PC]);
	put_register(" sp", frame[FRAME_SP]);
	put_register("\nesr", frame[FRAME_ESR]);
	put_register(" far", frame[FRAME_FAR]);
	put_register("\npstate", frame[FRAME_PSTATE]);
	put_register(" base", (uint64_t)kernel_image);
	for (unsigned i = 0; i < 31; i++) {
		char name[] = { '\n', 'x', (char)('0' + i / 10), (char)('0' + i % 10), '\0' };

		put_register(i % 3 == 0 ? name : name + 1, frame[i]);
		put(" ");
	}
	put("\nkernel: stopped\n");
	arch_halt();
}

