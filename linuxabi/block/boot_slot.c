/* SPDX-License-Identifier: MIT */
/*
 * Which slot of which disk the loader took: /proc/tessera/slot, for the program
 * that upgrades the system (tessera-slot(8)).  Lines of a word and its value:
 * "slot" A or B, "trial" yes or no, and the GUIDs "disk" and "root" unless there
 * is no such thing.
 */
#include <proto/world.h>
#include "block.h"
#include "fs.h"
#include "parts.h"
#include "string.h"

enum { GUID_TEXT = 37 };

static uint8_t disk[16], root[16];
static bool second, trial;

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

static long
show(struct seq *s, void *arg)
{
	(void)arg;
	seq_printf(s, "slot %s\ntrial %s\n", second ? "B" : "A", trial ? "yes" : "no");
	show_guid(s, "disk", disk);
	show_guid(s, "root", root);
	return 0;
}

void
boot_slot_init(const struct world_info *w)
{
	memcpy(disk, w->boot_disk, sizeof(disk));
	memcpy(root, w->root_part, sizeof(root));
	second = w->boot_slot != 0;
	trial = w->boot_trial != 0;
	procfs_register("tessera/slot", show, NULL);
}
