/* SPDX-License-Identifier: MIT */
/*
 * Reading a GUID partition table, UEFI 2.10 §5.3.  What a disk says is checked before it
 * is used: a number from the disk is compared, never computed with before.
 */
#include <driver/gpt.h>
#include <tessera/runtime.h>
#include <tessera/string.h>

enum { HEADER_BYTES = 92, ENTRY_BYTES = 128, NAME_UNITS = 36, MBR_PROTECTIVE = 0xee };

/* Both ends are little-endian; the bytes need not be aligned. */
static uint16_t
get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t
get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint64_t
get64(const uint8_t *p)
{
	return get32(p) | (uint64_t)get32(p + 4) << 32;
}

uint32_t
crc32_add(uint32_t crc, const void *bytes, size_t count)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	const uint8_t *p = bytes;

	crc = ~crc;
	for (; count > 0; count--) {
		crc ^= *p++;
		crc = crc >> 4 ^ nibble[crc & 15];
		crc = crc >> 4 ^ nibble[crc & 15];
	}
	return ~crc;
}

static bool
is_zero(const uint8_t guid[16])
{
	for (unsigned i = 0; i < 16; i++)
		if (guid[i] != 0)
			return false;
	return true;
}

/* ---- what is wrong -------------------------------------------------------- */

static const char *
table_name(const struct gpt *g)
{
	return g->step == GPT_READ_START || g->step == GPT_READ_ENTRIES ? "primary" : "backup";
}

/*
 * The table that is being read does not count.  What is wrong with the first one
 * stays; the second one's fault is said behind it if there is room.
 */
static void
wrong(struct gpt *g, const char *what)
{
	size_t n = strlen(g->why);

	format(g->why + n, sizeof g->why - n, "%s%s table: %s", n != 0 ? "; " : "", table_name(g), what);
	g->at = 0;
	if (g->step == GPT_READ_START || g->step == GPT_READ_ENTRIES) {
		g->step = GPT_READ_BACKUP;
		return;
	}
	g->step = GPT_DONE;
	if (!g->checking)
		g->count = 0;
}

/* ---- header ---------------------------------------------------------------- */

static void
header_read(struct gpt_header *h, const uint8_t *p)
{
	h->my_block = get64(p + 24);
	h->other_block = get64(p + 32);
	h->first_usable = get64(p + 40);
	h->last_usable = get64(p + 48);
	memcpy(h->disk_guid, p + 56, 16);
	h->entries_block = get64(p + 72);
	h->entry_count = get32(p + 80);
	h->entry_bytes = get32(p + 84);
	h->entries_crc = get32(p + 88);
}

static uint32_t
header_crc(const uint8_t *p, uint32_t bytes)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32_add(0, p, 16);

	crc = crc32_add(crc, zero, 4);		/* its own field counts as zero */
	return crc32_add(crc, p + 20, bytes - 20);
}

static uint64_t
entries_blocks(const struct gpt *g)
{
	uint64_t bytes = (uint64_t)g->header.entry_count * g->header.entry_bytes;

	return (bytes + g->block_size - 1) / g->block_size;
}

/* §5.3.2; NULL: it is right. */
static const char *
header_places(const struct gpt *g, uint64_t block)
{
	const struct gpt_header *h = &g->header;
	bool backup = block != 1;
	uint64_t n;

	if (h->my_block != block)
		return "its header belongs elsewhere";
	if (h->other_block == block || h->other_block >= g->blocks)
		return "the other header lies outside of the disk";
	if (h->entry_bytes < ENTRY_BYTES || (h->entry_bytes & (h->entry_bytes - 1)) != 0 || h->entry_bytes > 4096)
		return "wrong size of an entry";
	if (h->entry_count == 0 || h->entry_count > GPT_ENTRIES_BYTES / h->entry_bytes)
		return "wrong number of entries";
	if (h->first_usable > h->last_usable || h->last_usable >= g->blocks)
		return "usable blocks lie outside of the disk";
	n = entries_blocks(g);
	if (h->entries_block < 2 || h->entries_block >= g->blocks || n > g->blocks - h->entries_block)
		return "its entries lie outside of the disk";
	if (backup ? h->entries_block <= h->last_usable || h->entries_block + n > block
	    : h->entries_block + n > h->first_usable)
		return "its entries lie among the usable blocks";
	return NULL;
}

static const char *
header_check(struct gpt *g, const uint8_t *p, uint64_t block)
{
	uint32_t bytes;

	if (memcmp(p, "EFI PART", 8) != 0)
		return "no header";
	g->seen = true;
	bytes = get32(p + 12);
	if (get32(p + 8) != 0x00010000)
		return "unknown revision";
	if (bytes < HEADER_BYTES || bytes > g->block_size)
		return "wrong size of the header";
	if (header_crc(p, bytes) != get32(p + 16))
		return "wrong CRC of the header";
	header_read(&g->header, p);
	return header_places(g, block);
}

static void
header_take(struct gpt *g, const uint8_t *p, uint64_t block, enum gpt_step next)
{
	const char *what = header_check(g, p, block);

	if (what != NULL) {
		wrong(g, what);
		return;
	}
	g->step = next;
	g->at = 0;
	g->crc = 0;
	if (!g->checking)
		g->count = 0;
}

/* §5.2.3.  A disk partitioned the old way has no GPT whatever stands in block 1. */
static const char *
mbr_check(const uint8_t *p)
{
	bool protective = false, others = false;

	if (p[510] != 0x55 || p[511] != 0xaa)
		return "no protective MBR";
	for (unsigned i = 0; i < 4; i++) {
		uint8_t type = p[446 + 16 * i + 4];

		protective |= type == MBR_PROTECTIVE;
		others |= type != 0 && type != MBR_PROTECTIVE;
	}
	if (protective)
		return NULL;
	return others ? "an old MBR without GPT" : "no protective MBR";
}

static void
start_take(struct gpt *g, const uint8_t *p)
{
	const char *mbr = mbr_check(p);

	/* Boot code that a tool put there may cost the mark, not the table. */
	if (mbr != NULL && strcmp(mbr, "no protective MBR") != 0) {
		format(g->why, sizeof g->why, "%s", mbr);
		g->seen = true;
		g->step = GPT_DONE;
		return;
	}
	header_take(g, p + g->block_size, 1, GPT_READ_ENTRIES);
	if (g->step == GPT_READ_ENTRIES && mbr != NULL)
		format(g->why, sizeof g->why, "%s", mbr);
}

/* ---- entries ---------------------------------------------------------------- */

static size_t
utf8_put(char *to, size_t room, uint32_t c)
{
	if (c < 0x80 && room >= 1) {
		to[0] = (char)c;
		return 1;
	}
	if (c >= 0x80 && c < 0x800 && room >= 2) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 63));
		return 2;
	}
	if (c >= 0x800 && c < 0x10000 && room >= 3) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 63));
		to[2] = (char)(0x80 | (c & 63));
		return 3;
	}
	if (c >= 0x10000 && room >= 4) {
		to[0] = (char)(0xf0 | c >> 18);
		to[1] = (char)(0x80 | (c >> 12 & 63));
		to[2] = (char)(0x80 | (c >> 6 & 63));
		to[3] = (char)(0x80 | (c & 63));
		return 4;
	}
	return 0;
}

/* UTF-16 to UTF-8; what is no character becomes a question mark, control characters too. */
static void
name_read(char *to, size_t room, const uint8_t *p)
{
	size_t at = 0, n;

	for (unsigned i = 0; i < NAME_UNITS; i++) {
		uint32_t c = get16(p + 2 * i);

		if (c == 0)
			break;
		if (c >= 0xd800 && c < 0xdc00 && i + 1 < NAME_UNITS) {
			uint32_t low = get16(p + 2 * i + 2);

			if (low >= 0xdc00 && low < 0xe000) {
				c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
				i++;
			}
		}
		if (c < 0x20 || c == 0x7f || (c >= 0xd800 && c < 0xe000))
			c = '?';
		n = utf8_put(to + at, room - 1 - at, c);
		if (n == 0)
			break;
		at += n;
	}
	to[at] = '\0';
}

static bool
overlaps(const struct gpt *g, const struct gpt_part *p)
{
	for (unsigned i = 0; i < g->count; i++)
		if (p->first <= g->part[i].last && g->part[i].first <= p->last)
			return true;
	return false;
}

static const char *
entry_take(struct gpt *g, const uint8_t *e, uint32_t number)
{
	struct gpt_part *p = &g->part[g->count];

	if (is_zero(e))
		return NULL;
	if (g->count == GPT_PARTS)
		return "too many partitions";
	memcpy(p->type, e, 16);
	memcpy(p->guid, e + 16, 16);
	p->first = get64(e + 32);
	p->last = get64(e + 40);
	p->number = number;
	name_read(p->name, sizeof p->name, e + 56);
	if (p->first > p->last || p->first < g->header.first_usable || p->last > g->header.last_usable)
		return "a partition lies outside of the usable blocks";
	if (overlaps(g, p))
		return "partitions overlap";
	g->count++;
	return NULL;
}

static uint32_t
piece_bytes(const struct gpt *g)
{
	uint64_t left = (uint64_t)g->header.entry_count * g->header.entry_bytes - g->at;
	uint32_t room = g->buffer_bytes / 4096 * 4096;

	return left < room ? (uint32_t)left : room;
}

static void
entries_end(struct gpt *g)
{
	if (g->crc != g->header.entries_crc) {
		wrong(g, "wrong CRC of the entries");
		return;
	}
	if (g->checking && g->crc != g->primary_crc) {
		wrong(g, "differs from the primary");
		return;
	}
	if (g->checking) {
		g->step = GPT_DONE;
		return;
	}
	g->primary_crc = g->crc;
	g->table = g->header;
	memcpy(g->disk_guid, g->header.disk_guid, 16);
	g->at = 0;
	if (g->step == GPT_READ_BACKUP_ENTRIES) {
		g->source = GPT_BACKUP;
		g->step = GPT_DONE;
		return;
	}
	g->source = GPT_PRIMARY;
	g->checking = true;
	g->step = GPT_READ_BACKUP;
}

/* Entries do not cross pieces: both sizes are powers of two, a piece is the larger one. */
static void
entries_take(struct gpt *g, const uint8_t *p)
{
	uint32_t n = piece_bytes(g), size = g->header.entry_bytes;
	const char *what = NULL;

	g->crc = crc32_add(g->crc, p, n);
	for (uint32_t at = 0; at < n && !g->checking && what == NULL; at += size)
		what = entry_take(g, p + at, (uint32_t)((g->at + at) / size) + 1);
	if (what != NULL) {
		wrong(g, what);
		return;
	}
	g->at += n;
	if (g->at == (uint64_t)g->header.entry_count * size)
		entries_end(g);
}

/* ---- the scan --------------------------------------------------------------- */

void
gpt_begin(struct gpt *g, uint32_t block_size, uint64_t blocks, uint32_t buffer_bytes)
{
	memset(g, 0, sizeof *g);
	g->block_size = block_size;
	g->blocks = blocks;
	g->buffer_bytes = buffer_bytes;
	g->step = GPT_READ_START;
	if (blocks < 6) {
		format(g->why, sizeof g->why, "the disk is too small for a table");
		g->step = GPT_DONE;
	}
}

/* Where the backup's header is: where a good primary says, or in the last block. */
static uint64_t
backup_block(const struct gpt *g)
{
	return g->checking ? g->header.other_block : g->blocks - 1;
}

bool
gpt_wants(const struct gpt *g, uint64_t *block, uint32_t *count)
{
	switch (g->step) {
	case GPT_READ_START:
		*block = 0;
		*count = 2;
		return true;
	case GPT_READ_BACKUP:
		*block = backup_block(g);
		*count = 1;
		return true;
	case GPT_READ_ENTRIES:
	case GPT_READ_BACKUP_ENTRIES:
		*block = g->header.entries_block + g->at / g->block_size;
		*count = (piece_bytes(g) + g->block_size - 1) / g->block_size;
		return true;
	default:
		return false;
	}
}

void
gpt_feed(struct gpt *g, const uint8_t *p)
{
	if (p == NULL) {
		wrong(g, "cannot be read");
		return;
	}
	switch (g->step) {
	case GPT_READ_START:
		start_take(g, p);
		break;
	case GPT_READ_BACKUP:
		header_take(g, p, backup_block(g), GPT_READ_BACKUP_ENTRIES);
		break;
	case GPT_READ_ENTRIES:
	case GPT_READ_BACKUP_ENTRIES:
		entries_take(g, p);
		break;
	default:
		break;
	}
	if (g->step == GPT_DONE && g->source == GPT_NONE && !g->seen)
		format(g->why, sizeof g->why, "there is no partition table");
}

/* ---- looking up ------------------------------------------------------------- */

static const uint8_t guid_place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
guid_read(uint8_t guid[16], const char *text)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash && text[i] != '-')
			return false;
		if (dash)
			continue;
		if (digit(text[i]) < 0 || digit(text[i + 1]) < 0)
			return false;
		guid[guid_place[n++]] = (uint8_t)(digit(text[i]) << 4 | digit(text[i + 1]));
		i++;
	}
	return text[36] == '\0';
}

void
guid_text(char to[37], const uint8_t guid[16])
{
	size_t at = 0;

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			to[at++] = '-';
		at += format(to + at, 37 - at, "%02x", guid[guid_place[i]]);
	}
}

static const struct gpt_part *
find_bytes(const struct gpt *g, size_t offset, const void *bytes, size_t n)
{
	const struct gpt_part *found = NULL;

	for (unsigned i = 0; i < g->count; i++) {
		if (memcmp((const uint8_t *)&g->part[i] + offset, bytes, n) != 0)
			continue;
		if (found != NULL)
			return NULL;
		found = &g->part[i];
	}
	return found;
}

const struct gpt_part *
gpt_find_guid(const struct gpt *g, const uint8_t guid[16])
{
	return find_bytes(g, offsetof(struct gpt_part, guid), guid, 16);
}

const struct gpt_part *
gpt_find_type(const struct gpt *g, const uint8_t type[16])
{
	return find_bytes(g, offsetof(struct gpt_part, type), type, 16);
}

const struct gpt_part *
gpt_find(const struct gpt *g, const char *text)
{
	uint8_t guid[16];
	size_t n = strlen(text);

	if (n == 36 && guid_read(guid, text))
		return gpt_find_guid(g, guid);
	if (n == 0 || n >= sizeof g->part[0].name)
		return NULL;
	return find_bytes(g, offsetof(struct gpt_part, name), text, n + 1);
}
