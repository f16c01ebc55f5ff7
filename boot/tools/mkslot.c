/* SPDX-License-Identifier: MIT */
/*
 * mkslot: makes what lies in a slot partition or in the boot state partition
 * (slot(5)).
 *
 *   mkslot -o FILE --kernel kernel.elf --bundle base.bundle
 *          [--cmdline TEXT] [--label TEXT] [--root GUID]
 *   mkslot -o FILE --state A=good,B=empty [--preferred A] [--sequence N]
 *   mkslot --show FILE
 *
 * States: empty, good, bad, trial:N (N boots to report health).
 */
#include <stdlib.h>
#include <string.h>

#include "../include/blake2b.h"
#include "../include/slots.h"
#include "file.h"

struct arguments {
	const char *output, *kernel, *bundle, *cmdline, *label, *root, *state, *preferred, *show;
	uint64_t sequence;
};

static void
usage(void)
{
	fail("usage: mkslot -o FILE --kernel FILE --bundle FILE [--cmdline TEXT] [--label TEXT]"
	    " [--root GUID]\n"
	    "       mkslot -o FILE --state A=STATE,B=STATE [--preferred A|B] [--sequence N]\n"
	    "       mkslot --show FILE");
}

/* ---- a slot -------------------------------------------------------------- */

static void
copy_text(char *to, size_t size, const char *from, const char *what)
{
	if (from == NULL)
		return;
	if (strlen(from) >= size)
		fail("mkslot: the %s has more than %zu bytes", what, size - 1);
	memcpy(to, from, strlen(from));
}

/* A GUID's text as its 16 bytes on disk: the first three fields little endian. */
static void
copy_guid(uint8_t to[16], const char *text)
{
	static const int place[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
	unsigned a[16];

	if (text == NULL)
		return;
	if (strlen(text) != 36 ||
	    sscanf(text, "%2x%2x%2x%2x-%2x%2x-%2x%2x-%2x%2x-%2x%2x%2x%2x%2x%2x", &a[0], &a[1],
	    &a[2], &a[3], &a[4], &a[5], &a[6], &a[7], &a[8], &a[9], &a[10], &a[11], &a[12],
	    &a[13], &a[14], &a[15]) != 16)
		fail("mkslot: %s: not a GUID", text);
	for (int i = 0; i < 16; i++)
		to[place[i]] = (uint8_t)a[i];
}

static uint8_t *
read_padded(const char *path, uint64_t *size)
{
	uint8_t *data = file_read(path, size);

	data = realloc(data, slot_pages(*size) + 1);
	if (data == NULL)
		fail("mkslot: out of memory");
	memset(data + *size, 0, slot_pages(*size) - *size);
	return data;
}

static void
make_slot(const struct arguments *a)
{
	struct slot_header h = {
		.magic = SLOT_MAGIC, .version = SLOT_VERSION, .header_size = sizeof(h),
		.kernel_offset = SLOT_CONTENT,
	};
	uint8_t *kernel = read_padded(a->kernel, &h.kernel_size);
	uint8_t *bundle = read_padded(a->bundle, &h.bundle_size);
	struct complaint why;
	struct blake2b b;
	FILE *file;

	h.bundle_offset = h.kernel_offset + slot_pages(h.kernel_size);
	h.total_size = h.bundle_offset + slot_pages(h.bundle_size);
	copy_text(h.cmdline, sizeof(h.cmdline), a->cmdline, "command line");
	copy_text(h.label, sizeof(h.label), a->label, "label");
	copy_guid(h.root_part_guid, a->root);
	blake2b_begin(&b);
	blake2b_add(&b, kernel, slot_pages(h.kernel_size));
	blake2b_add(&b, bundle, slot_pages(h.bundle_size));
	blake2b_end(&b, h.content_hash);
	slot_seal(&h);
	if (!slot_check(&h, h.total_size, &why))
		fail("mkslot: %s", why.text);
	file = file_create(a->output);
	file_put(file, a->output, &h, sizeof(h));
	file_pad(file, a->output, sizeof(h), SLOT_CONTENT);
	file_put(file, a->output, kernel, slot_pages(h.kernel_size));
	file_put(file, a->output, bundle, slot_pages(h.bundle_size));
	file_close(file, a->output);
	free(kernel);
	free(bundle);
}

/* ---- the boot state ------------------------------------------------------ */

static const char *const state_words[] = { "empty", "good", "trial", "bad" };

static void
parse_slot_state(struct boot_state *state, const char *text)
{
	unsigned slot = (unsigned)(text[0] - 'A');
	size_t length;

	if (slot >= SLOT_COUNT || text[1] != '=')
		fail("mkslot: %s: not of the form A=STATE,B=STATE", text);
	text += 2;
	length = strcspn(text, ",:");
	for (unsigned i = 0; i < 4; i++) {
		if (strlen(state_words[i]) != length || memcmp(state_words[i], text, length) != 0)
			continue;
		state->slot[slot].state = i;
		if (text[length] == ':')
			state->slot[slot].tries = (uint32_t)strtoul(text + length + 1, NULL, 10);
		else if (i == SLOT_TRIAL)
			state->slot[slot].tries = 1;
		return;
	}
	fail("mkslot: %s: no such state", text);
}

static unsigned
parse_slot(const char *text)
{
	if (text == NULL || strcmp(text, "A") == 0)
		return 0;
	if (strcmp(text, "B") != 0)
		fail("mkslot: %s: no such slot", text);
	return 1;
}

static void
make_state(const struct arguments *a)
{
	struct boot_state state = {
		.magic = BOOT_STATE_MAGIC, .version = BOOT_STATE_VERSION,
		.sequence = a->sequence, .preferred = parse_slot(a->preferred),
	};
	const char *comma = strchr(a->state, ',');
	FILE *file;

	parse_slot_state(&state, a->state);
	if (comma != NULL)
		parse_slot_state(&state, comma + 1);
	boot_state_seal(&state);
	file = file_create(a->output);
	file_put(file, a->output, &state, sizeof(state));
	file_pad(file, a->output, sizeof(state), (uint64_t)BOOT_STATE_STRIDE);
	file_close(file, a->output);
}

/* ---- showing ------------------------------------------------------------- */

static void
show_slot(const uint8_t *data, uint64_t size)
{
	struct slot_header h;
	struct complaint why;

	memcpy(&h, data, sizeof(h));
	if (!slot_check(&h, size, &why) ||
	    !slot_check_content(&h, data + h.kernel_offset, data + h.bundle_offset, &why))
		fail("%s", why.text);
	printf("kernel %llu bytes, bundle %llu bytes, label \"%s\", command line \"%s\"\n",
	    U64(h.kernel_size), U64(h.bundle_size), h.label, h.cmdline);
}

static void
show_state(const uint8_t *data, uint64_t size)
{
	struct boot_state record[BOOT_STATE_RECORDS], state;
	unsigned spare;

	memset(record, 0, sizeof(record));
	for (unsigned i = 0; i < BOOT_STATE_RECORDS; i++)
		if (size >= i * (uint64_t)BOOT_STATE_STRIDE + sizeof(record[i]))
			memcpy(&record[i], data + (size_t)i * BOOT_STATE_STRIDE, sizeof(record[i]));
	if (!boot_state_current(record, &state, &spare))
		fail("no valid boot state record");
	printf("sequence %llu, preferred %c", U64(state.sequence), "AB"[state.preferred]);
	for (unsigned i = 0; i < SLOT_COUNT; i++)
		printf(", %c %s, tries %u", "AB"[i], state_words[state.slot[i].state],
		    state.slot[i].tries);
	putchar('\n');
}

static void
show(const char *path)
{
	uint64_t size, magic = 0;
	uint8_t *data = file_read(path, &size);

	if (size >= sizeof(struct slot_header))
		memcpy(&magic, data, sizeof(magic));
	if (magic == SLOT_MAGIC)
		show_slot(data, size);
	else
		show_state(data, size);
	free(data);
}

int
main(int argc, char **argv)
{
	struct arguments a = { .sequence = 1 };
	const char *sequence = NULL;
	const struct { const char *name; const char **value; } options[] = {
		{ "-o", &a.output }, { "--kernel", &a.kernel }, { "--bundle", &a.bundle },
		{ "--cmdline", &a.cmdline }, { "--label", &a.label }, { "--root", &a.root },
		{ "--state", &a.state }, { "--preferred", &a.preferred },
		{ "--sequence", &sequence }, { "--show", &a.show },
	};

	for (int i = 1; i < argc; i += 2) {
		size_t o = 0;

		while (o < sizeof(options) / sizeof(options[0]) &&
		    strcmp(argv[i], options[o].name) != 0)
			o++;
		if (o == sizeof(options) / sizeof(options[0]) || i + 1 == argc)
			usage();
		*options[o].value = argv[i + 1];
	}
	if (sequence != NULL)
		a.sequence = strtoull(sequence, NULL, 10);
	if (a.show != NULL)
		show(a.show);
	else if (a.output != NULL && a.kernel != NULL && a.bundle != NULL)
		make_slot(&a);
	else if (a.output != NULL && a.state != NULL)
		make_state(&a);
	else
		usage();
	return 0;
}
