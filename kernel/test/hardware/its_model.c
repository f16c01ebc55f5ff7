/* SPDX-License-Identifier: MIT */
/*
 * An ITS and redistributors that end the test on commands that IHI 0069 calls
 * errors, and that know an LPI's properties only by INV and INVALL.
 */
enum { DEVICES = 64, EVENTS = 32, LPIS = 8192, COLLECTIONS = 16 };

static struct {
	uint64_t typer, cbaser, baser[8];
	uint32_t ctlr, read, write;
	bool fixed_pages;
	uint64_t collection[COLLECTIONS];	/* RDbase; 0: not mapped */
	struct {
		bool mapped;
		struct {
			uint32_t lpi, collection;	/* lpi 0: not mapped */
		} event[EVENTS];
	} device[DEVICES];
	uint8_t property[LPIS];			/* as last read */
	bool pending[LPIS];
	struct {
		uint64_t prop, pend;
		uint32_t ctlr;
	} redistributor[MODEL_CPUS];
} its;

void
its_model_reset(bool by_address, bool fixed_pages)
{
	memset(&its, 0, sizeof(its));
	its.typer = 15ull << 13 | 15ull << 8 | 11ull << 4 | (by_address ? 1ull << 19 : 0) | 1;
	its.fixed_pages = fixed_pages;
	its.baser[0] = 1ull << 56 | 7ull << 48 | 2ull << 8;
	its.baser[1] = 4ull << 56 | 7ull << 48 | 2ull << 8;
}

static uint64_t
target_of(unsigned cpu)
{
	return its.typer >> 19 & 1 ? GICR_BASE(cpu) : (uint64_t)(cpu + 5) << 16;
}

static int
cpu_of(uint64_t target)
{
	for (unsigned cpu = 0; cpu < MODEL_CPUS; cpu++)
		if (target_of(cpu) == target)
			return (int)cpu;
	return -1;
}

static void
properties_read(uint32_t lpi)
{
	paddr_t at = (its.redistributor[0].prop & 0xffffffffff000ull) + (lpi & ~7u);

	its.property[lpi] = (uint8_t)(device_read64(at) >> 8 * (lpi & 7));
}

static void
execute(const uint64_t w[4])
{
	uint32_t number = w[0] & 0xff, device = (uint32_t)(w[0] >> 32), event = (uint32_t)w[1];
	uint64_t target = w[2] & 0x7ffffffff0000ull;
	bool of_event = number == 0x01 || number == 0x04 || number == 0x0c || number == 0x0f;

	EXPECT(!of_event || (device < DEVICES && event < EVENTS && its.device[device].event[event].lpi != 0));
	switch (number) {
	case 0x01:			/* MOVI */
		EXPECT(its.collection[w[2] & 0xffff] != 0);
		its.device[device].event[event].collection = w[2] & 0xffff;
		break;
	case 0x04:			/* CLEAR */
		its.pending[its.device[device].event[event].lpi - LPI_FIRST] = false;
		break;
	case 0x05:			/* SYNC */
		EXPECT(cpu_of(target) >= 0);
		break;
	case 0x08:			/* MAPD */
		EXPECT(device < DEVICES);
		if (w[2] >> 63 != 0) {
			EXPECT(!its.device[device].mapped && (w[1] & 31) == 4 && (w[2] & 0xff) == 0);
		} else {
			for (unsigned i = 0; i < EVENTS; i++)	/* else pending ones would stay */
				EXPECT(its.device[device].event[i].lpi == 0);
		}
		its.device[device].mapped = w[2] >> 63 != 0;
		break;
	case 0x09:			/* MAPC */
		EXPECT(cpu_of(target) >= 0 && w[2] >> 63 != 0 && (w[2] & 0xffff) < COLLECTIONS);
		its.collection[w[2] & 0xffff] = target;
		break;
	case 0x0a:			/* MAPTI */
		EXPECT(device < DEVICES && event < EVENTS && its.device[device].mapped);
		EXPECT(its.device[device].event[event].lpi == 0 && its.collection[w[2] & 0xffff] != 0);
		EXPECT(w[1] >> 32 >= LPI_FIRST && w[1] >> 32 < LPI_FIRST + LPIS);
		its.device[device].event[event].lpi = (uint32_t)(w[1] >> 32);
		its.device[device].event[event].collection = w[2] & 0xffff;
		properties_read((uint32_t)(w[1] >> 32) - LPI_FIRST);
		break;
	case 0x0c:			/* INV */
		properties_read(its.device[device].event[event].lpi - LPI_FIRST);
		break;
	case 0x0d:			/* INVALL */
		EXPECT(its.collection[w[2] & 0xffff] != 0);
		for (uint32_t i = 0; i < LPIS; i++)
			properties_read(i);
		break;
	case 0x0f:			/* DISCARD */
		its.pending[its.device[device].event[event].lpi - LPI_FIRST] = false;
		its.device[device].event[event].lpi = 0;
		break;
	default:
		EXPECT(!"a command that we should know");
	}
}

static void
run_commands(void)
{
	uint32_t bytes = 4096 * ((its.cbaser & 0xff) + 1);

	EXPECT((its.cbaser & 0xf000) == 0 && its.cbaser >> 63 != 0);
	while ((its.ctlr & 1) != 0 && its.read != its.write) {
		uint64_t w[4];

		for (unsigned i = 0; i < 4; i++)
			w[i] = device_read64((its.cbaser & 0xffffffffff000ull) + its.read + 8 * i);
		execute(w);
		its.read = (its.read + 32) % bytes;
	}
}

/* Type and entry size are fixed, the page size may be. */
static void
baser_write(unsigned n, uint64_t value)
{
	uint64_t fixed = 0x071f000000000000ull | (its.fixed_pages ? 3 << 8 : 0);

	if (its.baser[n] << 5 >> 61 == 0)
		return;
	its.baser[n] = (its.baser[n] & fixed) | (value & ~fixed);
	EXPECT(value >> 63 == 0 || (value & ((1ull << (12 + 2 * (its.baser[n] >> 8 & 3))) - 1) & 0xfffff000ull) == 0);
}

static uint64_t
its_access(uint32_t offset, bool write, uint64_t value)
{
	if (offset >= 0x100 && offset < 0x140) {
		if (write)
			baser_write((offset - 0x100) / 8, value);
		return its.baser[(offset - 0x100) / 8];
	}
	switch (offset) {
	case 0x00:
		if (write)
			its.ctlr = (uint32_t)value;
		return its.ctlr | ((its.ctlr & 1) == 0 ? 1u << 31 : 0);
	case 0x08:
		return its.typer;
	case 0x80:
		if (write)
			its.cbaser = value;
		return its.cbaser;
	case 0x88:
		its.write = (uint32_t)value;
		run_commands();
		return 0;
	case 0x90:
		return its.read;
	default:
		EXPECT(!"a register of the ITS");
		return 0;
	}
}

static uint64_t
gicr_access(unsigned cpu, uint32_t offset, bool write, uint64_t value)
{
	switch (offset) {
	case 0x00:
		if (write)
			its.redistributor[cpu].ctlr = (uint32_t)value;
		return its.redistributor[cpu].ctlr;
	case 0x08:
		return (uint64_t)(cpu + 5) << 8 | 1;
	case 0x70:
	case 0x78:
		EXPECT(!write || (its.redistributor[cpu].ctlr & 1) == 0);
		if (write && offset == 0x70)
			its.redistributor[cpu].prop = value;
		if (write && offset == 0x78)
			EXPECT((value & 0xf000) == 0);
		return offset == 0x70 ? its.redistributor[cpu].prop : its.redistributor[cpu].pend;
	default:
		EXPECT(!"a register of the redistributor");
		return 0;
	}
}

bool
its_model_access(uint64_t a, bool write, unsigned bytes, uint64_t *value)
{
	(void)bytes;
	if (a - ITS_BASE < 0x10000) {
		*value = its_access((uint32_t)(a - ITS_BASE), write, *value);
		return true;
	}
	for (unsigned cpu = 0; cpu < MODEL_CPUS; cpu++)
		if (a - GICR_BASE(cpu) < 0x20000) {
			*value = gicr_access(cpu, (uint32_t)(a - GICR_BASE(cpu)), write, *value);
			return true;
		}
	return false;
}

int
its_model_message(uint32_t device, uint32_t event, uint32_t *lpi)
{
	uint32_t n;
	int cpu;

	if (device >= DEVICES || event >= EVENTS || its.device[device].event[event].lpi == 0)
		return -1;
	*lpi = its.device[device].event[event].lpi;
	n = *lpi - LPI_FIRST;
	cpu = cpu_of(its.collection[its.device[device].event[event].collection]);
	if ((its.property[n] & 1) != 0 && (its.redistributor[cpu].ctlr & 1) != 0)
		return cpu;
	its.pending[n] = true;
	return -1;
}
