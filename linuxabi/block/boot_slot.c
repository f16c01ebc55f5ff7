/* SPDX-License-Identifier: MIT */
/*
 * Which slot of which disk the loader took: /proc/tessera/slot, for the program
 * that upgrades the system (tessera-slot(8)).  Lines of a word and its value:
 * "slot" A or B, "trial" yes or no, the GUIDs "disk" and "root" unless there
 * is no such thing, and "node", the disk's name, which tells it from its copies.  Writing "good" to it reports to init that the slot works: on
 * its trial boot the machine is reset if nobody does so in time.
 */
#include <proto/world.h>
#include "arch.h"
#include "block.h"
#include "fs.h"
#include "internal.h"
#include "parts.h"
#include "string.h"

enum { GUID_TEXT = 37 };

static uint8_t disk[16], root[16];
static bool second, trial;
static uint32_t channels;		/* those of the device that the loader took the slot from */

static void
show_guid(struct seq *s, const char *word, const uint8_t guid[16])
{
	static const uint8_t none[16];
	char text[GUID_TEXT];

	if (memcmp(guid, none, sizeof(none)) == 0)
		return;
	guid_text(text, guid);
	seq_printf(s, "%s %s\n", word, text);
}

static bool
is_the_device(const struct blk_disk *d)
{
	return (channels >> d->channel & 1) != 0;
}

bool
boot_slot_is_copy(const struct blk_medium *m)
{
	const uint8_t *guid = m->facts.part_number != 0 ? m->facts.disk_guid : m->disk_guid;

	return channels != 0 && !is_the_device(m->disk) && memcmp(guid, disk, sizeof(disk)) == 0;
}

/* The device may have other disks. */
static void
show_node(struct seq *s)
{
	for (unsigned i = 0; i < blk_disk_count; i++) {
		struct blk_disk *d = &blk_disks[i];
		struct blk_medium *m = blk_disk_medium(d);

		if (m == NULL)
			continue;
		if (is_the_device(d) && m->facts.part_number == 0 &&
		    memcmp(m->disk_guid, disk, sizeof(disk)) == 0)
			seq_printf(s, "node %s\n", d->name);
		medium_put(m);
	}
}

static long
show(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "slot %s\ntrial %s\n", second ? "B" : "A", trial ? "yes" : "no");
	show_guid(s, "disk", disk);
	show_guid(s, "root", root);
	show_node(s);
	return 0;
}

static long
store(const char *text, size_t size, void *arg)
{
	(void)arg;
	if (strcmp(text, "good") != 0 && strcmp(text, "good\n") != 0)
		return -EINVAL;
	arch_report_health();
	return (long)size;
}

void
boot_slot_init(const struct world_info *w)
{
	memcpy(disk, w->boot_disk, sizeof(disk));
	memcpy(root, w->root_part, sizeof(root));
	second = w->boot_slot != 0;
	trial = w->boot_trial != 0;
	for (unsigned i = 0; i < w->channel_count; i++)
		if ((w->channel[i].flags & WORLD_CHANNEL_BOOT_DEVICE) != 0)
			channels |= 1u << i;
	procfs_register_rw("tessera/slot", show, store, NULL);
}
