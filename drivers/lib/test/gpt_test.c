/* SPDX-License-Identifier: MIT */
/*
 * Reading GUID partition tables: right ones, and what every single wrong field is called.
 */
#include <stdarg.h>
#include <check.h>
#include <driver/gpt.h>
#include "gpt_image.h"

static struct image image;
static struct gpt gpt;
static uint64_t unreadable;		/* a block that cannot be read; 0: none */

static void
scan(uint32_t buffer_bytes)
{
	static uint8_t buffer[65536];
	unsigned reads = 0;
	uint64_t block;
	uint32_t count;

	gpt_begin(&gpt, image.bs, image.last + 1, buffer_bytes);
	while (gpt_wants(&gpt, &block, &count)) {
		CHECK(block <= image.last && count <= image.last + 1 - block && count * image.bs <= buffer_bytes);
		if (++reads > 1000) {
			CHECK(!"the scan ends");
			return;
		}
		if (unreadable != 0 && unreadable >= block && unreadable < block + count) {
			gpt_feed(&gpt, NULL);
			continue;
		}
		memcpy(buffer, block_of(&image, block), (size_t)count * image.bs);
		gpt_feed(&gpt, buffer);
	}
}

static void
a_table_is_read(void)
{
	static const uint32_t sizes[] = { 512, 4096 }, buffers[] = { 8192, 16384, 65536 };

	for (unsigned i = 0; i < 2; i++)
		for (unsigned k = 0; k < 3; k++) {
			image_make(&image, sizes[i]);
			scan(buffers[k]);
			CHECK(gpt.source == GPT_PRIMARY && gpt.why[0] == '\0' && gpt.count == 3);
			CHECK(gpt.disk_guid[3] == 0xd1);
			CHECK(gpt.part[2].number == 5 && gpt.part[2].first == 200 && gpt.part[2].last == 399);
			CHECK(strcmp(gpt.part[1].name, "slot-a") == 0);
		}
}

static void
crc32_is_the_usual_one(void)
{
	CHECK(crc32_add(0, "123456789", 9) == 0xcbf43926);
	CHECK(crc32_add(crc32_add(0, "1234", 4), "56789", 5) == 0xcbf43926);
}

static void
partitions_are_found(void)
{
	char text[37];

	image_make(&image, 512);
	scan(16384);
	CHECK(gpt_find(&gpt, "root") == &gpt.part[2]);
	CHECK(gpt_find(&gpt, "a1a1a1a1-a1a1-a1a1-a1a1-A1A1A1A1A1A1") == &gpt.part[1]);
	CHECK(gpt_find(&gpt, "a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a2") == NULL);
	CHECK(gpt_find(&gpt, "roo") == NULL && gpt_find(&gpt, "root2") == NULL && gpt_find(&gpt, "") == NULL);
	CHECK(gpt_find_guid(&gpt, gpt.part[0].guid) == &gpt.part[0]);
	CHECK(gpt_find_type(&gpt, gpt.part[2].type) == &gpt.part[2]);
	for (unsigned i = 0; i < 16; i++)
		gpt.part[0].guid[i] = (uint8_t)(i + 1);
	guid_text(text, gpt.part[0].guid);
	CHECK(strcmp(text, "04030201-0605-0807-090a-0b0c0d0e0f10") == 0);
	CHECK(gpt_find(&gpt, text) == &gpt.part[0]);
	memcpy(gpt.part[1].guid, gpt.part[0].guid, 16);
	CHECK(gpt_find(&gpt, text) == NULL);		/* which one? */
}

static void
names_are_utf_8(void)
{
	uint8_t *e;

	image_make(&image, 512);
	e = block_of(&image, 2) + 56;
	memset(e, 0, 72);
	put(e, 0xe4, 2);
	put(e + 2, 0x20ac, 2);
	put(e + 4, 0xd83d, 2);
	put(e + 6, 0xde00, 2);
	put(e + 8, 0xd83d, 2);		/* half a character */
	put(e + 10, 7, 2);
	seal(&image);
	scan(16384);
	CHECK(strcmp(gpt.part[0].name, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80??") == 0);
	for (unsigned i = 0; i < 36; i++)
		put(e + 2 * i, 0x20ac, 2);
	seal(&image);
	scan(16384);
	CHECK(strlen(gpt.part[0].name) == 39);	/* 13 of them, cut between characters */
}

/* The primary is broken in one place: the backup serves, and the reason is named. */
static void
primary_broken(void (*how)(void), const char *why)
{
	image_make(&image, 512);
	how();
	scan(16384);
	CHECK(gpt.source == GPT_BACKUP && gpt.count == 3 && gpt.part[2].first == 200);
	if (strstr(gpt.why, why) == NULL || strstr(gpt.why, "primary table: ") == NULL) {
		printf("  it says \"%s\", not \"%s\"\n", gpt.why, why);
		CHECK(!"the reason is named");
	}
}

#define H (block_of(&image, 1))
static void set_field(unsigned at, uint64_t value, unsigned bytes) { put(H + at, value, bytes); seal_header(&image, 1); }
static void no_signature(void) { H[0] = 'X'; }
static void bad_header_crc(void) { H[60] ^= 1; }
static void bad_revision(void) { set_field(8, 0x20000, 4); }
static void header_too_small(void) { set_field(12, 91, 4); }
static void header_too_large(void) { set_field(12, 513, 4); }
static void elsewhere(void) { set_field(24, 2, 8); }
static void other_outside(void) { set_field(32, 4096, 8); }
static void other_is_itself(void) { set_field(32, 1, 8); }
static void usable_outside(void) { set_field(48, 5000, 8); }
static void usable_empty(void) { set_field(40, 4000, 8); set_field(48, 3000, 8); }
static void entries_outside(void) { set_field(72, UINT64_MAX - 3, 8); }
static void entries_in_the_header(void) { set_field(72, 1, 8); }
static void entries_among_usable(void) { set_field(72, 100, 8); }
static void entries_too_many(void) { set_field(80, 100000, 4); }
static void entries_none(void) { set_field(80, 0, 4); }
static void entry_odd(void) { set_field(84, 136, 4); }
static void entry_small(void) { set_field(84, 64, 4); }
static void bad_entries(void) { block_of(&image, 2)[5] ^= 1; }

static void
crc_of_entries(void)
{
	put(H + 88, slow_crc(block_of(&image, 2), IMAGE_ENTRIES * ENTRY), 4);
	seal_header(&image, 1);
}

static void overlap(void) { put(block_of(&image, 2) + ENTRY + 32, 59, 8); crc_of_entries(); }
static void backwards(void) { put(block_of(&image, 2) + 40, 39, 8); crc_of_entries(); }
static void before_usable(void) { put(block_of(&image, 2) + 32, 33, 8); crc_of_entries(); }
static void behind_usable(void) { put(block_of(&image, 2) + 4 * ENTRY + 40, 4090, 8); crc_of_entries(); }

static void
every_fault_of_a_primary_is_named(void)
{
	primary_broken(no_signature, "no header");
	primary_broken(bad_header_crc, "wrong CRC of the header");
	primary_broken(bad_revision, "unknown revision");
	primary_broken(header_too_small, "wrong size of the header");
	primary_broken(header_too_large, "wrong size of the header");
	primary_broken(elsewhere, "its header belongs elsewhere");
	primary_broken(other_outside, "the other header lies outside");
	primary_broken(other_is_itself, "the other header lies outside");
	primary_broken(usable_outside, "usable blocks lie outside");
	primary_broken(usable_empty, "usable blocks lie outside");
	primary_broken(entries_outside, "its entries lie outside");
	primary_broken(entries_in_the_header, "its entries lie outside");
	primary_broken(entries_among_usable, "among the usable blocks");
	primary_broken(entries_too_many, "wrong number of entries");
	primary_broken(entries_none, "wrong number of entries");
	primary_broken(entry_odd, "wrong size of an entry");
	primary_broken(entry_small, "wrong size of an entry");
	primary_broken(bad_entries, "wrong CRC of the entries");
	primary_broken(overlap, "partitions overlap");
	primary_broken(backwards, "outside of the usable blocks");
	primary_broken(before_usable, "outside of the usable blocks");
	primary_broken(behind_usable, "outside of the usable blocks");
}

static void
what_cannot_be_read_is_said(void)
{
	image_make(&image, 512);
	unreadable = 1;
	scan(16384);
	CHECK(gpt.source == GPT_BACKUP && gpt.count == 3 && strstr(gpt.why, "primary table: cannot be read") != NULL);
	unreadable = image.last;
	scan(16384);
	CHECK(gpt.source == GPT_PRIMARY && gpt.count == 3 && strstr(gpt.why, "backup table: cannot be read") != NULL);
	unreadable = 0;
}

static void
a_broken_backup_is_said(void)
{
	image_make(&image, 512);
	block_of(&image, image.last)[30] ^= 1;
	scan(16384);
	CHECK(gpt.source == GPT_PRIMARY && gpt.count == 3 && strstr(gpt.why, "backup table: wrong CRC") != NULL);
	/* right by itself, but another one */
	image_make(&image, 512);
	block_of(&image, backup_entries(&image))[57] ^= 1;
	put(block_of(&image, image.last) + 88, slow_crc(block_of(&image, backup_entries(&image)), IMAGE_ENTRIES * ENTRY), 4);
	seal_header(&image, image.last);
	scan(16384);
	CHECK(gpt.source == GPT_PRIMARY && strstr(gpt.why, "backup table: differs from the primary") != NULL);
}

static void
two_broken_tables_are_none(void)
{
	image_make(&image, 512);
	bad_entries();
	block_of(&image, image.last)[30] ^= 1;
	scan(16384);
	CHECK(gpt.source == GPT_NONE && gpt.count == 0);
	CHECK(strstr(gpt.why, "primary") != NULL && strstr(gpt.why, "backup") != NULL);
}

static void
a_disk_that_grew_keeps_its_backup_where_it_was(void)
{
	image_make(&image, 512);
	image.last = 2000;
	entry(&image, 4, 3, 0xa2, 200, 399, "root");
	seal(&image);
	image.last = IMAGE_BLOCKS - 1;
	scan(16384);
	CHECK(gpt.source == GPT_PRIMARY && gpt.why[0] == '\0' && gpt.count == 3);
}

static void
disks_without_a_table_say_so(void)
{
	image_make(&image, 512);
	memset(image.bytes, 0, sizeof image.bytes);
	scan(16384);
	CHECK(gpt.source == GPT_NONE && strcmp(gpt.why, "there is no partition table") == 0 && !gpt.seen);
	image_make(&image, 512);
	image.bytes[446 + 4] = 0x83;
	scan(16384);
	CHECK(gpt.source == GPT_NONE && gpt.count == 0 && strcmp(gpt.why, "an old MBR without GPT") == 0);
	image_make(&image, 512);
	image.bytes[511] = 0;
	scan(16384);
	CHECK(gpt.source == GPT_PRIMARY && strstr(gpt.why, "no protective MBR") != NULL);
	gpt_begin(&gpt, 512, 5, 16384);
	CHECK(gpt.step == GPT_DONE && gpt.source == GPT_NONE);
}

static void
as_many_partitions_as_fit(void)
{
	image_make(&image, 512);
	for (unsigned i = 0; i < 128; i++)
		entry(&image, i, 1, (uint8_t)(i + 1), 100 + i, 100 + i, "x");
	seal(&image);
	scan(16384);
	CHECK(gpt.source == GPT_PRIMARY && gpt.count == 128 && gpt_find(&gpt, "x") == NULL);
}

int
main(void)
{
	RUN(a_table_is_read);
	RUN(crc32_is_the_usual_one);
	RUN(partitions_are_found);
	RUN(names_are_utf_8);
	RUN(every_fault_of_a_primary_is_named);
	RUN(what_cannot_be_read_is_said);
	RUN(a_broken_backup_is_said);
	RUN(two_broken_tables_are_none);
	RUN(a_disk_that_grew_keeps_its_backup_where_it_was);
	RUN(disks_without_a_table_say_so);
	RUN(as_many_partitions_as_fit);
	CHECK_END();
}
