/* SPDX-License-Identifier: MIT */
/*
 * Memory behind a cache.  `ram` is what the CPU sees, `memory` what a device
 * sees that does not snoop; `clean` is what a line held when the two were last
 * the same.  Nothing is written back but by dma_sync.
 */
enum { LINE = 64 };

uint8_t *ram;
bool snooping;
uint64_t model_now;

static uint8_t *memory, *clean;
static uint64_t used;

void
memory_reset(void)
{
	if (ram == NULL) {
		ram = malloc(RAM_BYTES + 65536);
		ram += -(uintptr_t)ram & 65535;		/* alignments are those of addresses */
		memory = malloc(RAM_BYTES);
		clean = malloc(RAM_BYTES);
	}
	memset(ram, 0xa5, RAM_BYTES);
	memset(memory, 0xa5, RAM_BYTES);
	memset(clean, 0xa5, RAM_BYTES);
	used = 0;
}

void *
memory_new(uint64_t bytes, uint64_t align)
{
	uint64_t at = (used + align - 1) & ~(align - 1);

	EXPECT(at + bytes <= RAM_BYTES);
	used = at + bytes;
	memset(ram + at, 0, bytes);
	memset(memory + at, 0, bytes);
	memset(clean + at, 0, bytes);
	return ram + at;
}

paddr_t
mmu_reserve(uint64_t bytes, uint64_t align)
{
	return kernel_to_phys(memory_new(bytes, align < 4096 ? 4096 : align));
}

/* Clean and invalidate: a line that the CPU wrote to goes out, another one comes in. */
void
dma_sync(const volatile void *start, uint64_t bytes, bool coherent)
{
	uint64_t at = (uint64_t)((const volatile uint8_t *)start - ram), end = at + bytes;

	EXPECT(coherent == snooping);
	for (at &= ~(uint64_t)(LINE - 1); !coherent && at < end; at += LINE) {
		if (memcmp(ram + at, clean + at, LINE) != 0)
			memcpy(memory + at, ram + at, LINE);
		else
			memcpy(ram + at, memory + at, LINE);
		memcpy(clean + at, ram + at, LINE);
	}
}

uint64_t
device_read64(paddr_t pa)
{
	uint64_t value;

	EXPECT(pa >= RAM_BASE && pa + 8 <= RAM_BASE + RAM_BYTES);
	memcpy(&value, (snooping ? ram : memory) + (pa - RAM_BASE), 8);
	return value;
}

void
device_write64(paddr_t pa, uint64_t value)
{
	EXPECT(pa >= RAM_BASE && pa + 8 <= RAM_BASE + RAM_BYTES);
	memcpy((snooping ? ram : memory) + (pa - RAM_BASE), &value, 8);
}
