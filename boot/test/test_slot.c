/* SPDX-License-Identifier: MIT */
/* Slots, boot state, bundle and hash: what is accepted, what is refused and how. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/bundle.h>

#include "../include/blake2b.h"
#include "../include/slots.h"
#include "test.h"

static struct complaint why;

/* ---- the hash ------------------------------------------------------------ */

static void
hash_in_parts(const uint8_t *data, size_t size, size_t part, char text[65])
{
	struct blake2b b;
	uint8_t hash[32];

	blake2b_begin(&b);
	for (size_t done = 0; done < size; done += part)
		blake2b_add(&b, data + done, size - done < part ? size - done : part);
	blake2b_end(&b, hash);
	for (int i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
}

/* The host's b2sum is an implementation that is not ours. */
static bool
b2sum(const uint8_t *data, size_t size, char text[65])
{
	char path[] = P_tmpdir "/boot-test-XXXXXX", command[100];
	int fd = mkstemp(path);
	FILE *file = fdopen(fd, "wb");
	FILE *pipe;
	bool fine;

	fwrite(data, 1, size, file);
	fclose(file);
	snprintf(command, sizeof(command), "b2sum -l 256 %s", path);
	pipe = popen(command, "r");
	fine = pipe != NULL && fread(text, 1, 64, pipe) == 64;
	text[64] = '\0';
	if (pipe != NULL)
		pclose(pipe);
	remove(path);
	return fine;
}

TEST(hash_agrees_with_b2sum)
{
	static const size_t sizes[] = { 0, 1, 63, 127, 128, 129, 255, 256, 257, 4096, 100003 };
	static uint8_t data[100003];
	char ours[65], theirs[65];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)test_random();
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CHECK(b2sum(data, sizes[i], theirs));
		hash_in_parts(data, sizes[i], sizes[i] + 1, ours);
		CHECK(strcmp(ours, theirs) == 0);
		hash_in_parts(data, sizes[i], 1 + i * 37, ours);
		CHECK(strcmp(ours, theirs) == 0);
	}
}

/* ---- the slot ------------------------------------------------------------ */

static uint8_t kernel_pages[8192], bundle_pages_[4096];

static struct slot_header
good_header(void)
{
	struct slot_header h = {
		.magic = SLOT_MAGIC, .version = SLOT_VERSION, .header_size = sizeof(h),
		.kernel_offset = 4096, .kernel_size = 5000, .bundle_offset = 4096 + 8192,
		.bundle_size = 4096, .total_size = 4096 + 8192 + 4096,
	};
	struct blake2b b;

	blake2b_begin(&b);
	blake2b_add(&b, kernel_pages, sizeof(kernel_pages));
	blake2b_add(&b, bundle_pages_, sizeof(bundle_pages_));
	blake2b_end(&b, h.content_hash);
	slot_seal(&h);
	return h;
}

TEST(a_good_slot_passes)
{
	struct slot_header h = good_header();

	CHECK(slot_check(&h, h.total_size, &why));
	CHECK(slot_check_content(&h, kernel_pages, bundle_pages_, &why));
}

TEST(each_damage_has_its_own_message)
{
	struct slot_header h = good_header();

	h.magic ^= 1;
	CHECK(!slot_check(&h, 1 << 20, &why) && strstr(why.text, "magic") != NULL);
	h = good_header();
	h.cmdline[0] = 'x';
	CHECK(!slot_check(&h, 1 << 20, &why) && strstr(why.text, "header: wrong hash") != NULL);
	h = good_header();
	h.version = 2;
	slot_seal(&h);
	CHECK(!slot_check(&h, 1 << 20, &why) && strstr(why.text, "version 2") != NULL);
	h = good_header();
	CHECK(!slot_check(&h, 8192, &why) && strstr(why.text, "beyond") != NULL);
	h.kernel_size = 0;
	slot_seal(&h);
	CHECK(!slot_check(&h, 1 << 20, &why) && strstr(why.text, "no kernel") != NULL);
	h = good_header();
	h.bundle_offset += 4096;
	slot_seal(&h);
	CHECK(!slot_check(&h, 1 << 20, &why) && strstr(why.text, "follow") != NULL);
	h = good_header();
	memset(h.cmdline, 'x', sizeof(h.cmdline));
	slot_seal(&h);
	CHECK(!slot_check(&h, 1 << 20, &why) && strstr(why.text, "no end") != NULL);
	h = good_header();
	h.content_hash[0] ^= 1;
	CHECK(!slot_check_content(&h, kernel_pages, bundle_pages_, &why));
	CHECK(strstr(why.text, "content: wrong hash") != NULL);
}

TEST(absurd_sizes_do_not_wrap)
{
	struct slot_header h = good_header();

	h.kernel_size = UINT64_MAX - 4000;
	h.bundle_offset = h.kernel_offset + slot_pages(h.kernel_size);
	slot_seal(&h);
	CHECK(!slot_check(&h, UINT64_MAX, &why));
	h.total_size = UINT64_MAX;
	slot_seal(&h);
	CHECK(!slot_check(&h, 1 << 20, &why));
}

/* ---- the boot state ------------------------------------------------------ */

static struct boot_state
state_of(uint64_t sequence, uint32_t preferred, uint32_t a, uint32_t b, uint32_t tries)
{
	struct boot_state s = {
		.magic = BOOT_STATE_MAGIC, .version = BOOT_STATE_VERSION,
		.sequence = sequence, .preferred = preferred,
	};

	s.slot[0].state = a;
	s.slot[0].tries = a == SLOT_TRIAL ? tries : 0;
	s.slot[1].state = b;
	s.slot[1].tries = b == SLOT_TRIAL ? tries : 0;
	boot_state_seal(&s);
	return s;
}

TEST(the_higher_sequence_counts)
{
	struct boot_state record[2], state;
	unsigned spare;

	record[0] = state_of(7, 0, SLOT_GOOD, SLOT_EMPTY, 0);
	record[1] = state_of(8, 1, SLOT_GOOD, SLOT_GOOD, 0);
	CHECK(boot_state_current(record, &state, &spare));
	CHECK(state.sequence == 8 && spare == 0);
	record[0] = state_of(9, 0, SLOT_GOOD, SLOT_EMPTY, 0);
	CHECK(boot_state_current(record, &state, &spare));
	CHECK(state.sequence == 9 && spare == 1);
}

/* Power failed while the newer record was being written: the older one holds. */
TEST(a_torn_record_is_not_used_but_overwritten)
{
	struct boot_state record[2], state;
	unsigned spare;

	record[0] = state_of(7, 0, SLOT_GOOD, SLOT_EMPTY, 0);
	record[1] = state_of(8, 1, SLOT_GOOD, SLOT_GOOD, 0);
	record[1].reserved[100] ^= 1;
	CHECK(boot_state_current(record, &state, &spare));
	CHECK(state.sequence == 7 && spare == 1);
	record[1] = state_of(8, 1, SLOT_GOOD, SLOT_GOOD, 0);
	memset(&record[0], 0xff, sizeof(record[0]));
	CHECK(boot_state_current(record, &state, &spare));
	CHECK(state.sequence == 8 && spare == 0);
}

TEST(without_a_record_a_goes_before_b)
{
	struct boot_state record[2], state;
	unsigned spare, order[2];

	memset(record, 0, sizeof(record));
	CHECK(!boot_state_current(record, &state, &spare));
	CHECK(boot_state_order(&state, order) == 2 && order[0] == 0 && order[1] == 1);
}

TEST(bad_and_empty_slots_are_not_tried)
{
	struct boot_state s = state_of(1, 1, SLOT_GOOD, SLOT_BAD, 0);
	unsigned order[2];

	CHECK(boot_state_order(&s, order) == 1 && order[0] == 0);
	s = state_of(1, 0, SLOT_EMPTY, SLOT_BAD, 0);
	CHECK(boot_state_order(&s, order) == 0);
	s = state_of(1, 1, SLOT_GOOD, SLOT_GOOD, 0);
	CHECK(boot_state_order(&s, order) == 2 && order[0] == 1 && order[1] == 0);
}

/* A new slot B gets its one boot; without a report of health A comes back. */
TEST(a_trial_ends_without_a_report)
{
	struct boot_state s = state_of(4, 1, SLOT_GOOD, SLOT_TRIAL, 1);
	unsigned order[2];

	CHECK(boot_state_order(&s, order) == 2 && order[0] == 1);
	CHECK(boot_state_count(&s, 1));
	CHECK(s.sequence == 5 && boot_state_valid(&s));
	CHECK(s.slot[1].state == SLOT_TRIAL && s.slot[1].tries == 0);
	CHECK(boot_state_order(&s, order) == 1 && order[0] == 0);
	CHECK(boot_state_count(&s, 0));
	CHECK(s.slot[1].state == SLOT_BAD && s.slot[0].state == SLOT_GOOD);
	CHECK(!boot_state_count(&s, 0));	/* from now on nothing is written */
}

/* ---- the bundle ---------------------------------------------------------- */

static struct bundle_header bundle;

static void
good_bundle(void)
{
	memset(&bundle, 0, sizeof(bundle));
	bundle.magic = BUNDLE_MAGIC;
	bundle.version = BUNDLE_VERSION;
	bundle.count = 2;
	memcpy(bundle.entry[0].name, "init", 4);
	bundle.entry[0].offset = 4096;
	bundle.entry[0].size = 5000;
	memcpy(bundle.entry[1].name, "system.conf", 11);
	bundle.entry[1].offset = 4096 + 8192;
	bundle.entry[1].size = 1;
	bundle.size = 4096 + 8192 + 4096;
}

TEST(a_good_bundle_is_searched)
{
	good_bundle();
	CHECK(bundle_check(&bundle, bundle.size) == NULL);
	CHECK(bundle_find(&bundle, "system.conf") == &bundle.entry[1]);
	CHECK(bundle_find(&bundle, "system") == NULL);
	CHECK(bundle_find(&bundle, "system.conf2") == NULL);
}

TEST(a_wrong_bundle_is_refused)
{
	good_bundle();
	CHECK(bundle_check(&bundle, 100) != NULL);
	CHECK(bundle_check(&bundle, bundle.size - 4096) != NULL);
	CHECK(bundle_check(&bundle, bundle.size + 4096) != NULL);
	memcpy(bundle.entry[1].name, "init\0\0\0\0\0\0\0", 11);
	CHECK(strstr(bundle_check(&bundle, bundle.size), "same name") != NULL);
	good_bundle();
	memset(bundle.entry[1].name, 'x', BUNDLE_NAME);
	CHECK(strstr(bundle_check(&bundle, bundle.size), "proper name") != NULL);
	good_bundle();
	bundle.entry[1].size = UINT64_MAX - 100;
	CHECK(bundle_check(&bundle, bundle.size) != NULL);
	good_bundle();
	bundle.count = 64;
	CHECK(bundle_check(&bundle, bundle.size) != NULL);
	good_bundle();
	bundle.entry[0].offset = 0;
	CHECK(bundle_check(&bundle, bundle.size) != NULL);
}

/* ---- the partition table of an image that mkimage made --------------------- */

static FILE *
open_image(void)
{
	const char *path = getenv("TEST_IMAGE");

	return path != NULL ? fopen(path, "rb") : NULL;
}

static bool
read_at(FILE *file, uint64_t block, void *data, size_t size)
{
	return fseek(file, (long)(block * 512), SEEK_SET) == 0 && fread(data, 1, size, file) == size;
}

TEST(slots_are_found_on_an_image)
{
	static const uint8_t types[3][16] = {
		SLOT_PARTITION_TYPE(1), SLOT_PARTITION_TYPE(2), SLOT_PARTITION_TYPE(3),
	};
	static uint8_t block[512], entries[128 * 128];
	FILE *image = open_image();
	uint64_t blocks, at[2], first, count;
	struct slot_header h;
	struct gpt gpt;

	CHECK(image != NULL);
	CHECK(fseek(image, 0, SEEK_END) == 0);
	blocks = (uint64_t)ftell(image) / 512;
	at[0] = 1;
	at[1] = blocks - 1;	/* the table and its copy */
	for (unsigned i = 0; i < 2; i++) {
		CHECK(read_at(image, at[i], block, 512));
		CHECK(gpt_header(block, at[i], blocks, &gpt, &why));
		CHECK(gpt.entry_count == 128 && gpt.entry_size == 128);
		CHECK(read_at(image, gpt.entries_block, entries, sizeof(entries)));
		CHECK(gpt_entries(&gpt, entries, &why));
		for (unsigned t = 0; t < 3; t++) {
			CHECK(gpt_find(&gpt, entries, types[t], 0, &first, &count));
			CHECK(!gpt_find(&gpt, entries, types[t], 1, &first, &count));
		}
	}
	CHECK(gpt_find(&gpt, entries, types[0], 0, &first, &count));
	CHECK(read_at(image, first, &h, sizeof(h)));
	CHECK(slot_check(&h, count * 512, &why));
	block[60] ^= 1;
	CHECK(!gpt_header(block, blocks - 1, blocks, &gpt, &why));
	entries[5] ^= 1;
	CHECK(!gpt_entries(&gpt, entries, &why));
	fclose(image);
}
