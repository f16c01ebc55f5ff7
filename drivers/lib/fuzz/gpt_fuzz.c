/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer target: a disk of any bytes is either a table whose partitions lie apart and within the
 * disk, or none, with a reason.  The first byte says which CRCs are made right, so that what is
 * behind them is reached.
 */
#include <stdlib.h>
#include <string.h>
#include <driver/gpt.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BLOCKS = 4096, BS = 512, BUFFER = 8192 };

static uint8_t disk[BLOCKS * BS];
static struct gpt gpt;

static void
must(bool x)
{
	if (!x)
		abort();
}

static uint32_t
get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void
put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void
make_right(uint8_t *h, uint8_t how)
{
	uint64_t entries = get32(h + 72), bytes = (uint64_t)get32(h + 80) * get32(h + 84);
	uint32_t size = get32(h + 12);

	if ((how & 1) != 0 && entries < BLOCKS && bytes <= (BLOCKS - entries) * BS)
		put32(h + 88, crc32_add(0, disk + entries * BS, bytes));
	put32(h + 16, 0);
	if ((how & 2) != 0 && size <= BS)
		put32(h + 16, crc32_add(0, h, size));
}

static void
check(void)
{
	must(gpt.count <= GPT_PARTS);
	must(memchr(gpt.why, 0, sizeof gpt.why) != NULL);
	must(gpt.source != GPT_NONE || gpt.why[0] != '\0');
	must(gpt.source != GPT_NONE || gpt.count == 0);
	for (unsigned i = 0; i < gpt.count; i++) {
		const struct gpt_part *p = &gpt.part[i];

		must(p->first <= p->last && p->last < BLOCKS && p->first >= 2);
		must(memchr(p->name, 0, sizeof p->name) != NULL);
		for (unsigned k = 0; k < i; k++)
			must(p->last < gpt.part[k].first || p->first > gpt.part[k].last);
		must(gpt_find_guid(&gpt, p->guid) == NULL || gpt_find_guid(&gpt, p->guid) == p);
	}
}

/* Header, then entries; a second copy of what follows as the backup. */
static void
disk_make(const uint8_t *data, size_t size)
{
	uint8_t how = data[0];
	size_t n = size - 1;

	memset(disk, 0, sizeof disk);
	disk[446 + 4] = how & 4 ? 0x83 : 0xee;
	disk[510] = 0x55;
	disk[511] = how & 8 ? 0 : 0xaa;
	memcpy(disk + BS, data + 1, n < 92 ? n : 92);
	if (n > 92)
		memcpy(disk + 2 * BS, data + 93, n - 92);
	memcpy(disk + (BLOCKS - 1) * BS, disk + BS, BS);
	make_right(disk + BS, how);
	make_right(disk + (BLOCKS - 1) * BS, how >> 4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buffer[BUFFER];
	unsigned reads = 0;
	uint64_t block;
	uint32_t count;

	if (size < 2)
		return 0;
	disk_make(data, size);
	gpt_begin(&gpt, BS, BLOCKS, BUFFER);
	while (gpt_wants(&gpt, &block, &count)) {
		must(block < BLOCKS && count <= BLOCKS - block && count <= BUFFER / BS && ++reads < 200);
		memcpy(buffer, disk + block * BS, count * BS);
		gpt_feed(&gpt, buffer);
	}
	check();
	return 0;
}
