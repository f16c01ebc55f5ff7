/* SPDX-License-Identifier: MIT */
/*
 * Growing the last partition to the end of its disk: both tables are written anew, the
 * backup at its new place first, each followed by a flush.  So at every moment one of them
 * is whole, and a power cut costs no more than another try.  UEFI 2.10 §5.3.
 */
#include <driver/gpt.h>
#include <tessera/string.h>

enum { HEADER_MY = 24, HEADER_OTHER = 32, HEADER_LAST_USABLE = 48, HEADER_ENTRIES = 72, HEADER_ENTRIES_CRC = 88,
	HEADER_SIZE = 12, HEADER_CRC = 16, ENTRY_LAST = 40, MBR_TABLE = 446, MBR_TYPE = 4, MBR_BLOCKS = 12,
	MBR_PROTECTIVE = 0xee };

static void
put32(uint8_t *p, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void
put64(uint8_t *p, uint64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)(v >> 32));
}

static uint32_t
get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t
last_usable(const struct gpt_grow *w)
{
	return w->blocks - 2 - w->entries_blocks;
}

bool
gpt_grow_begin(struct gpt_grow *w, const struct gpt *g, const struct gpt_part *p, uint32_t buffer_bytes)
{
	uint64_t entries = (uint64_t)g->table.entry_count * g->table.entry_bytes;

	memset(w, 0, sizeof *w);
	w->step = GPT_GROW_DONE;
	if (g->source != GPT_PRIMARY || g->table.entries_block != 2 || p->number > g->table.entry_count)
		return false;
	for (unsigned i = 0; i < g->count; i++)
		if (g->part[i].first > p->first)
			return false;
	w->block_size = g->block_size;
	w->blocks = g->blocks;
	w->entries_blocks = (entries + g->block_size - 1) / g->block_size;
	w->entry_offset = (p->number - 1) * g->table.entry_bytes;
	w->entries_bytes = (uint32_t)entries;
	w->entries_crc = g->table.entries_crc;
	w->old_last = p->last;
	if ((w->entries_blocks + 2) * w->block_size > buffer_bytes || w->blocks < 2 * w->entries_blocks + 8)
		return false;
	if (last_usable(w) < p->last || last_usable(w) - p->last < GPT_GROW_BYTES / w->block_size)
		return false;
	w->step = GPT_GROW_READ;
	return true;
}

bool
gpt_grow_wants(const struct gpt_grow *w, struct gpt_grow_io *io)
{
	uint64_t n = w->entries_blocks;

	memset(io, 0, sizeof *io);
	switch (w->step) {
	case GPT_GROW_READ:
		*io = (struct gpt_grow_io){ .kind = GPT_GROW_IO_READ, .block = 0, .count = (uint32_t)n + 2 };
		return true;
	case GPT_GROW_BACKUP:		/* entries, then the header: from the buffer's third block on */
		*io = (struct gpt_grow_io){ .kind = GPT_GROW_IO_WRITE, .block = w->blocks - 1 - n,
		    .count = (uint32_t)n, .offset = 2 * w->block_size };
		return true;
	case GPT_GROW_BACKUP_HEADER:
		*io = (struct gpt_grow_io){ .kind = GPT_GROW_IO_WRITE, .block = w->blocks - 1, .count = 1,
		    .offset = w->block_size };
		return true;
	case GPT_GROW_PRIMARY:
		*io = (struct gpt_grow_io){ .kind = GPT_GROW_IO_WRITE, .block = 0, .count = (uint32_t)n + 2 };
		return true;
	case GPT_GROW_BACKUP_FLUSH:
	case GPT_GROW_PRIMARY_FLUSH:
		io->kind = GPT_GROW_IO_FLUSH;
		return true;
	default:
		return false;
	}
}

static void
header_write(const struct gpt_grow *w, uint8_t *h, bool backup)
{
	put64(h + HEADER_MY, backup ? w->blocks - 1 : 1);
	put64(h + HEADER_OTHER, backup ? 1 : w->blocks - 1);
	put64(h + HEADER_LAST_USABLE, last_usable(w));
	put64(h + HEADER_ENTRIES, backup ? w->blocks - 1 - w->entries_blocks : 2);
	put32(h + HEADER_ENTRIES_CRC, w->entries_crc);
	put32(h + HEADER_CRC, 0);
	put32(h + HEADER_CRC, crc32_add(0, h, get32(h + HEADER_SIZE)));
}

/* The protective entry covers the disk, or as much of it as its field can say (§5.2.3). */
static void
mbr_write(const struct gpt_grow *w, uint8_t *mbr)
{
	uint8_t *e = mbr + MBR_TABLE;

	for (unsigned i = 0; i < 4; i++, e += 16)
		if (e[MBR_TYPE] == MBR_PROTECTIVE)
			put32(e + MBR_BLOCKS, w->blocks - 1 > UINT32_MAX ? UINT32_MAX : (uint32_t)(w->blocks - 1));
}

/* What was read is what the scan saw: between them nobody wrote, but a disk is not trusted. */
static bool
read_again(const struct gpt_grow *w, const uint8_t *buffer)
{
	const uint8_t *h = buffer + w->block_size, *entries = h + w->block_size;
	uint32_t size = get32(h + HEADER_SIZE);

	return memcmp(h, "EFI PART", 8) == 0 && size >= 92 && size <= w->block_size &&
	    get32(h + HEADER_ENTRIES_CRC) == w->entries_crc && crc32_add(0, entries, w->entries_bytes) == w->entries_crc;
}

void
gpt_grow_fed(struct gpt_grow *w, bool ok, uint8_t *buffer)
{
	uint8_t *header = buffer + w->block_size, *entries = header + w->block_size;

	if (!ok || (w->step == GPT_GROW_READ && !read_again(w, buffer))) {
		w->step = GPT_GROW_DONE;
		return;
	}
	switch (w->step) {
	case GPT_GROW_READ:
		put64(entries + w->entry_offset + ENTRY_LAST, last_usable(w));
		w->entries_crc = crc32_add(0, entries, w->entries_bytes);
		header_write(w, header, true);
		w->step = GPT_GROW_BACKUP;
		break;
	case GPT_GROW_BACKUP:
		w->step = GPT_GROW_BACKUP_HEADER;
		break;
	case GPT_GROW_BACKUP_HEADER:
		w->step = GPT_GROW_BACKUP_FLUSH;
		break;
	case GPT_GROW_BACKUP_FLUSH:
		header_write(w, header, false);
		mbr_write(w, buffer);
		w->step = GPT_GROW_PRIMARY;
		break;
	case GPT_GROW_PRIMARY:
		w->step = GPT_GROW_PRIMARY_FLUSH;
		break;
	default:
		w->grown = true;
		w->step = GPT_GROW_DONE;
	}
}
