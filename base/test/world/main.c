/* SPDX-License-Identifier: MIT */
/*
 * The smallest world: a personality without Linux, to test init, the console
 * and the drivers with.  It says what it was given, then obeys single
 * characters from its terminal:
 *
 *   s  stream 20,000 numbered lines      f  fault: read outside of the box
 *   p  power off                         r  reset
 *   l  write a line to the log           anything else is echoed
 */
#include <proto/world.h>
#include <tessera/ring.h>
#include <tessera/runtime.h>
#include <tessera/stubs.h>

enum { STREAM_LINES = 20000 };

static struct stream_end tty, log_end;
static volatile uint32_t here;

void world_main(const struct world_info *info, unsigned vcpu);

#define write_sysreg(name, value) __asm__ volatile("msr " name ", %0" :: "r"((uint64_t)(value)))

/* The virtual CPU interface of the GIC: one priority, group 1 (IHI 0069 12.2). */
static void
interrupts_on(void)
{
	write_sysreg("icc_sre_el1", 1);
	write_sysreg("icc_pmr_el1", 0xff);
	write_sysreg("icc_igrpen1_el1", 1);
	__asm__ volatile("isb");
}

/* Sleep until the Notification has bits: WFI wakes with interrupts masked. */
static uint64_t
wait_bits(unsigned vcpu)
{
	uint64_t bits = 0, intid;

	while (sys_poll(WORLD_SLOT_VCPU_POLL + vcpu, &bits) != OK) {
		__asm__ volatile("wfi" ::: "memory");
		__asm__ volatile("mrs %0, icc_iar1_el1" : "=r"(intid));
		if (intid < 1020)
			write_sysreg("icc_eoir1_el1", intid);
	}
	return bits;
}

static void
put(const char *text, size_t n)
{
	bool bell = false;
	uint32_t done;

	for (;;) {
		done = ring_write(&tty.out, text, (uint32_t)n, &bell);
		text += done;
		n -= done;
		if (bell)
			sys_signal(WORLD_SLOT_CONSOLE_BELL);
		bell = false;
		if (n == 0)
			return;
		if (ring_writer_waits(&tty.out, 1))
			wait_bits(0);
	}
}

static void
print(const char *text, ...)
{
	char line[200];
	va_list list;

	va_start(list, text);
	put(line, format_list(line, sizeof line, text, list));
	va_end(list);
}

static void
log_text(const char *text)
{
	bool bell = false;

	ring_write(&log_end.out, text, (uint32_t)strlen(text), &bell);
	if (bell)
		sys_signal(WORLD_SLOT_LOG_BELL);
}

static void
obey(char c)
{
	switch (c) {
	case 's':
		for (unsigned i = 0; i < STREAM_LINES; i++)
			print("line %u of the stream\r\n", i);
		print("stream ends\r\n");
		break;
	case 'f':
		(void)*(volatile uint32_t *)0x3000dead0;
		break;
	case 'p':
		sys_signal(WORLD_SLOT_POWER);
		break;
	case 'r':
		sys_signal(WORLD_SLOT_RESET);
		break;
	case 'l':
		log_text("a line of the log\n");
		break;
	default:
		print("<%c>", c);
	}
}

static void
introduce(const struct world_info *info)
{
	const char *archive = (const char *)info->archive.base;

	print("world: %u VCPUs, %llu MiB, host %s, cmdline [%s], archive %llu bytes",
	    info->vcpu_count, (unsigned long long)(info->ram[0].size >> 20), info->hostname,
	    info->cmdline, (unsigned long long)info->archive.size);
	if (info->archive.size >= 6)
		print(" (%c%c%c%c%c%c)", archive[0], archive[1], archive[2], archive[3], archive[4],
		    archive[5]);
	print("\r\n");
}

static _Noreturn void
serve(void)
{
	bool bell = false;
	char c;

	for (;;) {
		while (ring_read(&tty.in, &c, 1, &bell) == 1)
			obey(c);
		if (bell)
			sys_signal(WORLD_SLOT_CONSOLE_BELL);
		bell = false;
		if (ring_reader_waits(&tty.in))
			wait_bits(0);
	}
}

void
world_main(const struct world_info *info, unsigned vcpu)
{
	volatile uint64_t *last = (volatile uint64_t *)(info->ram[0].base + info->ram[0].size - 8);

	interrupts_on();
	__atomic_fetch_add(&here, 1, __ATOMIC_SEQ_CST);
	if (vcpu != 0) {
		sys_signal(WORLD_SLOT_VCPU_SIGNAL + 0);
		for (;;)
			wait_bits(vcpu);
	}
	stream_attach(&tty, (void *)info->console, 1 << 17, STREAM_CLIENT);
	stream_attach(&log_end, (void *)info->log, 1 << 16, STREAM_CLIENT);
	introduce(info);
	while (__atomic_load_n(&here, __ATOMIC_SEQ_CST) != info->vcpu_count)
		wait_bits(0);
	*last = 0x1234;
	print("world: all VCPUs are here, RAM ends in %llx\r\n", (unsigned long long)*last);
	log_text("world: log works\n");
	serve();
}
