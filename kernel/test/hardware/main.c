/* SPDX-License-Identifier: MIT */
/*
 * Tests of arch/arm64's SMMU and ITS: boot, then random binding, mapping and
 * accesses, each compared with what a plain list of mappings says, on hardware
 * that snoops and on hardware that does not.
 * usage: hardware-test [random worlds of each kind]
 */
#include <setjmp.h>

enum { DEVICES = 6, SPACES = 3, MAPPINGS = 24, STEPS = 6000, SPACE_BITS = 16, FRAME_PAGES = 1100 };

/* ---- what core gives -------------------------------------------------------------- */

struct cpu cpus[MAX_CPUS];
unsigned cpu_count = MODEL_CPUS;
struct io_device *io_devices[IO_DEVICES];

static jmp_buf test_failed, panicked;
static bool expects_panic;
static char log_buffer[65536];
static uint32_t raised;
static struct { uint32_t smmu, stream, kind; uint64_t address; bool write; unsigned count; } last;

_Noreturn void
failed(const char *what, const char *file, int line)
{
	printf("%s:%d: not so: %s\n", file, line, what);
	longjmp(test_failed, 1);
}

_Noreturn void
panic(const char *why)
{
	if (!expects_panic)
		failed(why, "panic", 0);
	longjmp(panicked, 1);
}

void
log_text(const char *text)
{
	if (strlen(log_buffer) + strlen(text) < sizeof(log_buffer))
		strcat(log_buffer, text);
}

void
log_hex(uint64_t value)
{
	char digits[20];

	snprintf(digits, sizeof(digits), "%#llx", (unsigned long long)value);
	log_text(digits);
}

void
kernel_io_fault(uint32_t smmu, uint32_t stream, uint32_t kind, uint64_t address, bool write)
{
	unsigned count = last.count + 1;

	last.smmu = smmu;
	last.stream = stream;
	last.kind = kind;
	last.address = address;
	last.write = write;
	last.count = count;
}

void gic_take_line(uint32_t intid) { (void)intid; }
void gic_raise_line(uint32_t intid) { raised = intid; }
uint32_t gic_lpi_bits(void) { return 16; }

/* ---- registers ---------------------------------------------------------------------- */

static uint64_t
access(uint64_t a, bool write, unsigned bytes, uint64_t value)
{
	if (!smmu_model_access(a, write, bytes, &value) && !its_model_access(a, write, bytes, &value))
		failed("a register that is there", "access", 0);
	return value;
}

uint32_t mmio_read32(uint64_t a) { return (uint32_t)access(a, false, 4, 0); }
uint64_t mmio_read64(uint64_t a) { return access(a, false, 8, 0); }
void mmio_write32(uint64_t a, uint32_t v) { access(a, true, 4, v); }
void mmio_write64(uint64_t a, uint64_t v) { access(a, true, 8, v); }

/* ---- the machine ----------------------------------------------------------------------- */

static struct bootinfo boot;

static void
machine(bool snoops, const struct smmu_traits *traits, bool by_address, bool fixed_pages)
{
	snooping = snoops;
	memory_reset();
	smmu_model_reset(traits);
	its_model_reset(by_address, fixed_pages);
	memset(io_devices, 0, sizeof(io_devices));
	memset(&boot, 0, sizeof(boot));
	memset(&last, 0, sizeof(last));
	model_now += 10 * MODEL_TICKS;
	log_buffer[0] = '\0';
	boot.smmu_count = MODEL_SMMUS;
	for (unsigned i = 0; i < MODEL_SMMUS; i++)
		boot.smmu[i] = (struct boot_smmu){ .base = SMMU_BASE(i), .size = 0x20000,
			.event_intid = 74 + i, .coherent = snoops };
	boot.gic.its_count = 1;
	boot.gic.its[0] = (struct boot_range){ ITS_BASE, 0x20000 };
	boot.gic.coherent = snoops;
	boot.stream_count = 1;
	boot.stream[0] = (struct boot_stream){ .segment = 2, .count = 0x2000, .smmu = 0, .its = 0 };
	boot.ecam_count = 1;
	boot.ecam[0].segment = 2;
	boot.ecam[0].coherent = 1;
	for (unsigned i = 0; i < MODEL_CPUS; i++)
		cpus[i].arch.gicr = GICR_BASE(i);
}

static void
start(void)
{
	smmu_init(&boot);
	its_init(&boot, MODEL_CPUS);
}

static struct io_device *
device_new(uint32_t number, uint32_t smmu, uint32_t stream, uint32_t its, enum error want)
{
	struct io_device *d = memory_new(4096, 4096);

	d->number = number;
	d->smmu = smmu;
	d->stream = stream;
	d->its = its;
	d->device = stream;
	EXPECT(arch_io_device_assign(d) == want);
	if (want == OK)
		io_devices[number] = d;
	return d;
}

static void
unbind(struct io_device *d)
{
	struct io_device **link;

	if (d->space == NULL)
		return;
	arch_io_device_unbind(d);
	for (link = &d->space->devices; *link != d; link = &(*link)->next)
		;
	*link = d->next;
	d->space = NULL;
}

static void
bind(struct io_device *d, struct vspace *v)
{
	enum error e = arch_io_space_doorbell(v, 0);

	if (e != OK) {
		EXPECT(e == ERR_NO_MEMORY && v->arch.tables_free < 2);
		return;
	}
	unbind(d);
	d->space = v;
	d->next = v->devices;
	v->devices = d;
	arch_io_device_bind(d);
}

static struct vspace *
space_new(void)
{
	struct vspace *v = memory_new(1 << SPACE_BITS, 4096);

	v->obj.type = OBJ_IO_SPACE;
	v->size_bits = SPACE_BITS;
	arch_io_space_init(v);
	return v;
}

/* ---- random worlds ------------------------------------------------------------------------ */

struct mapping {
	struct vspace *space;		/* NULL: none */
	uint64_t iova, pages, base;
	unsigned rights;
};

static struct vspace *spaces[SPACES];
static struct io_device *devices[DEVICES];
static struct mapping mappings[MAPPINGS];
static uint64_t random_state;

static uint32_t
dice(uint32_t sides)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;	/* Knuth, MMIX */
	return (uint32_t)(random_state >> 33) % sides;
}

static void
unmap(struct mapping *m)
{
	uint64_t left = m->pages;

	while (left > 0)
		left = arch_io_space_unmap(m->space, m->iova, left);
	m->space->mapped_bytes -= m->pages << 12;
	m->space = NULL;
}

/* Somewhere that often collides, with sizes that often make blocks. */
static void
map(struct mapping *m)
{
	static const uint64_t sizes[] = { 1, 2, 17, 512, 513, FRAME_PAGES };
	uint64_t done = 0, n;
	enum error e = OK;

	m->space = spaces[dice(SPACES)];
	m->pages = sizes[dice(6)];
	m->iova = (uint64_t)dice(8) << 36 | (uint64_t)dice(6) << 20 | (uint64_t)dice(3) << 12;
	m->base = 0x100000000ull + ((uint64_t)dice(64) << 21) + (dice(2) ? m->iova & 0x1ff000 : 0);
	m->rights = RIGHT_READ | (dice(3) ? RIGHT_WRITE : 0);
	while (done < m->pages && e == OK) {
		e = arch_io_space_map(m->space, m->iova + (done << 12), m->base + (done << 12),
			m->pages - done, m->rights, &n);
		if (e == OK)
			done += n;
	}
	for (uint64_t left = done; e != OK && left > 0;)
		left = arch_io_space_unmap(m->space, m->iova, left);
	if (e == OK)
		m->space->mapped_bytes += m->pages << 12;
	else
		m->space = NULL;
}

static const struct mapping *
mapping_at(const struct vspace *v, uint64_t iova)
{
	for (unsigned i = 0; i < MAPPINGS; i++)
		if (v != NULL && mappings[i].space == v && iova - mappings[i].iova < mappings[i].pages << 12)
			return &mappings[i];
	return NULL;
}

/* Does the device get what the list says, and is a refusal told? */
static void
try_access(const struct io_device *d, uint64_t iova, bool write)
{
	const struct mapping *m = mapping_at(d->space, iova);
	bool want = m != NULL && (!write || (m->rights & RIGHT_WRITE) != 0);
	unsigned before = last.count;
	uint64_t type = 0;
	paddr_t pa = 0;
	bool got;

	if (iova >> 12 == IO_DOORBELL_IOVA >> 12)
		return;
	got = smmu_model_dma(d->smmu, d->stream, iova, write, &pa, &type);
	if (got != want)
		printf("stream %#x: %s %#llx: %s\n", d->stream, write ? "write" : "read",
			(unsigned long long)iova, got ? "reached" : "refused");
	EXPECT(got == want);
	if (got)
		EXPECT(pa == m->base + (iova - m->iova) && type == (d->smmu == 0 || snooping ? 0xff : 0x44));
	smmu_interrupt(74 + d->smmu);
	EXPECT(last.count == before + (!want && d->space != NULL));
	if (last.count != before)
		EXPECT(last.smmu == d->smmu && last.stream == d->stream && last.address == iova &&
			last.write == write && last.kind == (m != NULL ? 0x13u : 0x10u));
}

static void
random_step(void)
{
	struct mapping *m = &mappings[dice(MAPPINGS)];
	struct io_device *d = devices[dice(DEVICES)];

	switch (dice(12)) {
	case 0:
		unbind(d);
		break;
	case 1:
		bind(d, spaces[dice(SPACES)]);
		break;
	case 2:
	case 3:
		if (m->space != NULL)
			unmap(m);
		else
			map(m);
		break;
	case 4:				/* an address where nothing ever is */
		try_access(d, 0x7ff00000ull << 7, dice(2));
		break;
	default:			/* in, or at the edges of, what is or was mapped */
		if (m->pages != 0)
			try_access(d, m->iova + (uint64_t)dice((uint32_t)m->pages + 2) * 4096 + dice(4096) -
				(m->iova != 0 ? 4096 : 0), dice(2));
	}
}

static void
random_world(uint64_t seed)
{
	random_state = seed;
	memset(mappings, 0, sizeof(mappings));
	for (unsigned i = 0; i < SPACES; i++)
		spaces[i] = space_new();
	for (unsigned i = 0; i < DEVICES; i++)
		devices[i] = device_new(i + 1, i % MODEL_SMMUS, 5 * i, 0, OK);
	for (unsigned n = 0; n < STEPS; n++)
		random_step();
	for (unsigned i = 0; i < SPACES; i++)
		EXPECT(arch_io_space_pages(spaces[i]) << 12 == spaces[i]->mapped_bytes);
	for (unsigned i = 0; i < MAPPINGS; i++)
		if (mappings[i].space != NULL)
			unmap(&mappings[i]);
	for (unsigned i = 0; i < SPACES; i++)
		EXPECT(spaces[i]->arch.tables_free + (spaces[i]->arch.doorbell != 0 ? 2 : 0) ==
			spaces[i]->arch.tables);
}

/* ---- tests ---------------------------------------------------------------------------------- */

static uint64_t seeds = 40;

static const struct smmu_traits usual = { .stream_bits = 16, .has_abort = true };

static void
everything_aborts_from_boot_on(void)
{
	uint64_t type;
	paddr_t pa;

	machine(true, &usual, false, false);
	start();
	EXPECT(smmu_model_aborts(0) && smmu_model_aborts(1));
	EXPECT(!smmu_model_dma(0, 8, 0x1000, true, &pa, &type));
	EXPECT(!smmu_model_dma(0, 0xffff, 0x1000, true, &pa, &type));
}

static void
random_worlds_with_caches_seen(void)
{
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		machine(true, &usual, false, false);
		start();
		random_world(seed);
	}
}

static void
random_worlds_with_caches_not_seen(void)
{
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		machine(false, &usual, true, true);
		start();
		random_world(seed);
	}
}

/* At most 64 streams need one table and no second level. */
static void
random_worlds_on_a_small_smmu(void)
{
	struct smmu_traits small = { .stream_bits = 5, .hyp_and_msi = true };

	machine(false, &small, false, true);
	start();
	random_world(99);
	device_new(40, 0, 32, IO_NO_ITS, ERR_RANGE);
}

static void
streams_and_leaves_are_bounded(void)
{
	unsigned assigned = 0;

	machine(true, &usual, false, false);
	start();
	device_new(1, 2, 1, IO_NO_ITS, ERR_RANGE);
	device_new(1, 0, 1 << 16, IO_NO_ITS, ERR_RANGE);
	device_new(1, 0, 1, 1, ERR_RANGE);
	for (uint32_t i = 1; i <= 32; i++, assigned++)
		device_new(i, 0, i * 64, IO_NO_ITS, OK);
	device_new(33, 0, 33 * 64, IO_NO_ITS, ERR_LIMIT);
	device_new(33, 0, 32 * 64 + 63, IO_NO_ITS, OK);
}

static void
stranger_is_told_once(void)
{
	uint64_t type;
	paddr_t pa;

	machine(false, &usual, false, false);
	start();
	device_new(1, 0, 8, IO_NO_ITS, OK);
	for (uint32_t stream = 0; stream < 3; stream++)
		for (unsigned i = 0; i < 5; i++) {
			EXPECT(!smmu_model_dma(0, 9 + 640 * stream, 0x1000, true, &pa, &type));
			smmu_interrupt(74);
		}
	EXPECT(last.count == 3);
	EXPECT(strstr(log_buffer, "smmu: stream 0x9: stream without a device") != NULL);
	EXPECT(strstr(log_buffer, "smmu: stream 0x289: unknown stream") != NULL);
}

static void
flood_is_taken_in_steps_and_short_in_the_log(void)
{
	struct io_device *d;
	uint64_t type;
	paddr_t pa;
	unsigned interrupts = 0;

	machine(false, &usual, false, false);
	start();
	d = device_new(1, 0, 8, 0, OK);
	bind(d, space_new());
	for (unsigned i = 0; i < 1000; i++)
		EXPECT(!smmu_model_dma(0, 8, 0x5000 + 4 * i, true, &pa, &type));
	EXPECT(smmu_model_error(0));
	do {
		raised = 0;
		smmu_interrupt(74);
		interrupts++;
		EXPECT(last.count <= 8 * interrupts);
	} while (raised == 74);
	EXPECT(last.count == 128 && interrupts == 16);
	EXPECT(last.address == 0x5000 + 4 * 127);
	EXPECT(strstr(log_buffer, "smmu: stream 0x8: translation fault, write at 0x5000\n") != NULL);
	EXPECT(!smmu_model_error(0) && strlen(log_buffer) < 600);
	EXPECT(!smmu_model_dma(0, 8, 0x5000, false, &pa, &type));
	smmu_interrupt(74);
	EXPECT(last.count == 129 && !last.write);
	arch_io_device_quiet(d, true);
	EXPECT(!smmu_model_dma(0, 8, 0x5000, false, &pa, &type));
	smmu_interrupt(74);
	EXPECT(last.count == 129);
	arch_io_device_quiet(d, false);
	EXPECT(!smmu_model_dma(0, 8, 0x5000, false, &pa, &type));
	smmu_interrupt(74);
	EXPECT(last.count == 130);
}

static void
doorbell_is_mapped_as_a_device(void)
{
	struct vspace *v;
	uint64_t type;
	paddr_t pa;

	machine(false, &usual, false, false);
	start();
	v = space_new();
	bind(device_new(1, 0, 8, 0, OK), v);
	EXPECT(smmu_model_dma(0, 8, IO_DOORBELL_IOVA + 0x40, true, &pa, &type));
	EXPECT(pa == ITS_BASE + 0x10040 && type == 0x04);
	EXPECT(arch_io_space_doorbell(v, 1) == ERR_BUSY);
}

static void
messages_go_where_they_are_bound(bool snoops, bool by_address, bool fixed_pages)
{
	uint32_t lpi = 0, number = 7, first = LPI_FIRST + number * IO_EVENTS;
	struct io_device *d;

	machine(snoops, &usual, by_address, fixed_pages);
	start();
	EXPECT(strstr(log_buffer, "not usable") == NULL && strstr(log_buffer, "no LPIs") == NULL);
	d = device_new(number, 0, 8, 0, OK);
	EXPECT(its_model_message(8, 5, &lpi) == -1);
	arch_lpi_map(d, 5, first + 5);
	arch_lpi_map(d, 31, first + 31);
	EXPECT(its_model_message(8, 5, &lpi) == -1);
	for (unsigned cpu = 0; cpu < MODEL_CPUS; cpu++) {
		its_lpi_enable(first + 5, cpu);
		EXPECT(its_model_message(8, 5, &lpi) == (int)cpu && lpi == first + 5);
		EXPECT(its_model_message(8, 31, &lpi) == -1);
		its_lpi_disable(first + 5);
		EXPECT(its_model_message(8, 5, &lpi) == -1);
	}
	its_lpi_enable(first + 31, 2);
	EXPECT(its_model_message(8, 31, &lpi) == 2 && lpi == first + 31);
	for (unsigned i = 0; i < 300; i++) {	/* around the command queue */
		its_lpi_disable(first + 31);
		its_lpi_enable(first + 31, i % MODEL_CPUS);
		EXPECT(its_model_message(8, 31, &lpi) == (int)(i % MODEL_CPUS));
	}
	its_lpi_disable(first + 31);
	arch_lpi_unmap(d, 5);
	arch_lpi_unmap(d, 31);
	EXPECT(its_model_message(8, 31, &lpi) == -1);
	arch_io_device_release(d);
	d = device_new(number, 0, 8, 0, OK);
	arch_lpi_map(d, 5, first + 5);
}

static void
messages_with_caches_seen(void)
{
	messages_go_where_they_are_bound(true, false, false);
	messages_go_where_they_are_bound(true, true, true);
}

static void
messages_with_caches_not_seen(void)
{
	messages_go_where_they_are_bound(false, false, true);
	messages_go_where_they_are_bound(false, true, false);
}

static void
hung_smmu_stops_the_kernel(void)
{
	struct smmu_traits hung = { .stream_bits = 16, .hung = true };

	machine(true, &hung, false, false);
	expects_panic = true;
	if (setjmp(panicked) == 0) {
		start();
		EXPECT(!"start returns");
	}
	expects_panic = false;
	EXPECT(strstr(log_buffer, "CMDQ_CONS") != NULL);
}

#define TEST(name) { #name, name }
static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	TEST(everything_aborts_from_boot_on),
	TEST(random_worlds_with_caches_seen),
	TEST(random_worlds_with_caches_not_seen),
	TEST(random_worlds_on_a_small_smmu),
	TEST(streams_and_leaves_are_bounded),
	TEST(stranger_is_told_once),
	TEST(flood_is_taken_in_steps_and_short_in_the_log),
	TEST(doorbell_is_mapped_as_a_device),
	TEST(messages_with_caches_seen),
	TEST(messages_with_caches_not_seen),
	TEST(hung_smmu_stops_the_kernel),
};

int
main(int argc, char **argv)
{
	volatile unsigned passed = 0, count = sizeof(tests) / sizeof(tests[0]);

	if (argc > 1)
		seeds = strtoull(argv[1], NULL, 0);
	for (volatile unsigned i = 0; i < count; i++) {
		if (setjmp(test_failed) == 0) {
			tests[i].run();
			passed++;
		} else {
			printf("FAILED %s\n%s", tests[i].name, log_buffer);
		}
	}
	printf("%u passed, %u failed\n", passed, count - passed);
	return passed != count;
}
