/* SPDX-License-Identifier: MIT */
/*
 * The input is a list of damages to one image: four bytes of place, one of kind,
 * one of value, each.  The image is mounted (its journal has something to
 * recover), read through and changed; nothing is checked but that no step leaves
 * its bounds.  The superblock's checksum is put right again, so that damage gets
 * past it; an image without checksums is the other half.
 */
#include "../core.h"
#include "../test/rig.h"

static uint8_t *clean[2];
static uint64_t bytes;

static void
prepare(struct rig *rig, unsigned which)
{
	static const char *const shapes[] = { "-b 1024 -J size=1", "-b 1024 -J size=1 -O ^metadata_csum" };
	struct ref root, dir, file;
	char name[40];

	rig_make(rig, 4 << 20, shapes[which]);
	if (rig_mount(rig, 0) != 0)
		abort();
	root = rig_root(rig);
	rig_create(rig, root, "d", 040755, NULL, &dir);
	for (unsigned i = 0; i < 60; i++) {
		sprintf(name, "a-name-that-fills-blocks-%u", i);
		rig_create(rig, dir, name, 0100644, NULL, &file);
		if (i % 8 == 0)
			rig_write(rig, file, 0, rig->memory + 8192, 5000);
		rig_setxattr(rig, file, "user.a", name, 30, 0);
	}
	for (unsigned i = 0; i < 12; i++)
		rig_write(rig, file, i * 8192, rig->memory + 8192, 4096);
	rig_sync(rig);
	rig_kill(rig);
	bytes = rig->disk.bytes;
	clean[which] = malloc(bytes);
	memcpy(clean[which], rig->bytes, bytes);
}

static void
each(void *context, const struct fs_entry *entry)
{
	(void)context;
	(void)entry;
}

static void
use(struct rig *rig)
{
	static char back[40000];
	struct ref root = rig_root(rig), dir, file;
	char name[40];

	rig_list(rig, root, each, NULL);
	if (rig_lookup(rig, root, "d", &dir) == 0) {
		rig_list(rig, dir, each, NULL);
		for (unsigned i = 0; i < 60; i += 7) {
			sprintf(name, "a-name-that-fills-blocks-%u", i);
			if (rig_lookup(rig, dir, name, &file) == 0) {
				rig_read(rig, file, 0, back, sizeof back);
				rig_getxattr(rig, file, "user.a", back, 100);
				rig_write(rig, file, 8192, back, 5000);
				rig_truncate(rig, file, 100);
			}
			rig_unlink(rig, dir, name);
		}
		rig_create(rig, dir, "new", 0100644, NULL, &file);
	}
	rig_sync(rig);
}

static void
repair_super(uint8_t *image)
{
	struct ext4_super *s = (struct ext4_super *)(void *)(image + SUPER_OFFSET);

	if ((s->feature_ro_compat & RO_METADATA_CSUM) != 0)
		s->checksum = crc32c(~0u, s, offsetof(struct ext4_super, checksum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rig rig[2];
	unsigned which = size > 0 ? data[0] & 1 : 0;
	struct rig *r = &rig[which];
	uint32_t at;

	if (clean[which] == NULL)
		prepare(r, which);
	memcpy(r->bytes, clean[which], bytes);
	for (size_t i = 1; i + 6 <= size && i < 120; i += 6) {
		memcpy(&at, data + i, 4);
		at %= (at >> 28) < 12 ? 400000u : (uint32_t)bytes;
		if ((data[i + 4] & 1) != 0)
			r->bytes[at] = data[i + 5];
		else
			r->bytes[at] ^= data[i + 5];
	}
	repair_super(r->bytes);
	if (rig_mount(r, 0) == 0) {
		use(r);
		rig_kill(r);
	}
	if (r->illegal)
		abort();
	return 0;
}
