/* SPDX-License-Identifier: MIT */
/*
 * Any disk gives a table that makes sense, or none.  The first byte: bit 0 big
 * blocks, bit 1 checksums are made right first (else a fuzzer never gets behind
 * them), bit 2 reading fails where the second byte says.  Then the disk.
 */
#include "../parts.h"
#include "../probe.h"

int vsnprintf(char *, unsigned long, const char *, va_list);
void *malloc(unsigned long);
void free(void *);
void abort(void) __attribute__((noreturn));
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(c)	do { if (!(c)) abort(); } while (0)

int
ksnprintf(char *b, size_t n, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vsnprintf(b, n, fmt, ap);
	va_end(ap);
	return r;
}

struct disk {
	uint8_t *bytes;
	uint64_t blocks;
	uint32_t block_size, bad;
};

static long
read_disk(void *arg, uint64_t block, uint32_t count, void *to)
{
	struct disk *d = arg;

	CHECK(block < d->blocks && count <= d->blocks - block && count != 0);
	CHECK((uint64_t)count * d->block_size <= PART_BUFFER);
	if (d->bad >= block && d->bad < block + count)
		return -EIO;
	memcpy(to, d->bytes + block * d->block_size, (size_t)count * d->block_size);
	return 0;
}

static uint32_t get32(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24; }

static void
put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t
crc32(const uint8_t *p, size_t n)
{
	uint32_t c = ~0u;

	for (; n > 0; n--, p++)
		for (unsigned bit = 0; bit < 8; bit++)
			c = ((c ^ *p >> bit) & 1) ? c >> 1 ^ 0xedb88320u : c >> 1;
	return ~c;
}

/* A header at `block`: its entries' checksum and its own. */
static void
seal(struct disk *d, uint64_t block)
{
	uint8_t *h = d->bytes + block * d->block_size;
	uint64_t entries = get32(h + 72) | (uint64_t)get32(h + 76) << 32;
	uint64_t n = (uint64_t)get32(h + 80) * get32(h + 84);

	if (entries < d->blocks && n <= (d->blocks - entries) * d->block_size)
		put32(h + 88, crc32(d->bytes + entries * d->block_size, n));
	put32(h + 12, 92);
	put32(h + 16, 0);
	put32(h + 16, crc32(h, 92));
}

static void
check_table(const struct part_table *t, const struct disk *d)
{
	char text[37];

	CHECK(t->count <= PARTS_MAX);
	CHECK(t->kind != PARTS_NONE || t->count == 0);
	for (unsigned i = 0; i < t->count; i++) {
		const struct part *p = &t->part[i];

		CHECK(p->number != 0 && p->count != 0);
		CHECK(p->first < d->blocks && p->count <= d->blocks - p->first);
		CHECK(strnlen(p->name, sizeof(p->name)) < sizeof(p->name));
		part_uuid(text, t, p);
		CHECK(strlen(text) <= 36);
		for (unsigned k = 0; k < i; k++)
			CHECK(t->part[k].number != p->number);
	}
}

static void
check_probe(const struct disk *d)
{
	uint8_t first[PROBE_BYTES] = { 0 };
	char name[4 * PROBE_TEXT];
	struct probe p;

	memcpy(first, d->bytes, min(d->blocks * d->block_size, (uint64_t)PROBE_BYTES));
	probe_superblock(&p, first);
	CHECK(strnlen(p.uuid, PROBE_TEXT) < PROBE_TEXT && strnlen(p.label, PROBE_TEXT) < PROBE_TEXT);
	CHECK(p.type != NULL || (p.uuid[0] == '\0' && p.label[0] == '\0'));
	probe_encode(name, p.label);
	CHECK(strchr(name, '/') == NULL && strlen(name) < sizeof(name));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct part_table t;
	uint8_t buffer[PART_BUFFER];
	struct disk d = { .bad = UINT32_MAX };

	if (size < 2)
		return 0;
	d.block_size = data[0] & 1 ? 4096 : 512;
	d.blocks = (size - 2) / d.block_size;
	if (data[0] & 4)
		d.bad = data[1];
	d.bytes = malloc(d.blocks * d.block_size + 1);
	memcpy(d.bytes, data + 2, d.blocks * d.block_size);
	if ((data[0] & 2) != 0 && d.blocks > 2) {
		seal(&d, 1);
		seal(&d, d.blocks - 1);
	}
	if (parts_read(&t, d.block_size, d.blocks, read_disk, &d, buffer) == 0)
		check_table(&t, &d);
	check_probe(&d);
	free(d.bytes);
	return 0;
}
