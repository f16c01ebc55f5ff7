/* SPDX-License-Identifier: MIT */
/*
 * Where the slots are: the disk that the loader took, found by its GUID, and
 * its partitions as Linux names them.  A disk may also be an image file.
 */
#ifndef TESSERA_SLOT_DEVICE_H
#define TESSERA_SLOT_DEVICE_H

#include "upgrade.h"

enum { FACT_GUID = 37, FACT_NODE = 32, FACT_PATH = 512 };

/* /proc/tessera/slot.  Texts are empty where it does not say. */
struct facts {
	unsigned slot;
	bool trial;
	char disk[FACT_GUID], root[FACT_GUID];
	char node[FACT_NODE];		/* name of the disk in /dev */
};

/* From a file of that form.  False with errno ENOENT: there is no such file. */
bool facts_read(struct facts *, const char *path, struct complaint *why);
/* The 16 bytes of a GUID's text as a disk has them; an empty text: zeros. */
bool guid_parse(uint8_t guid[16], const char *text, struct complaint *why);

struct place {
	int fd;
	uint64_t offset;		/* of the area behind fd */
};

enum { AREA_STATE = SLOT_COUNT, AREA_ESP, AREA_COUNT };

struct device {
	char path[FACT_PATH];		/* of the disk */
	/* Slots A and B, boot state, ESP.  Copies of them work as well; each points to its place. */
	struct area area[AREA_COUNT];
	struct place place[AREA_COUNT];
};

enum found { FOUND, FOUND_NONE, FOUND_SEVERAL, FOUND_TROUBLE };

/*
 * The disk of these facts that has slots: the node, if it has the GUID, otherwise
 * whichever has it.  *why says what was found instead, in the case of FOUND_SEVERAL
 * with the names of the disks.
 */
enum found device_search(const struct facts *, char path[FACT_PATH], struct complaint *why);
/*
 * Opens the areas of a disk or an image of one, for writing as well if asked;
 * nobody else who asked may have it at that time.  device_close ends it.
 */
bool device_open(struct device *, const char *path, bool writing, struct complaint *why);
/* After device_open for writing: the EFI system partition, if the disk has exactly one, as area AREA_ESP. */
bool device_open_esp(struct device *, struct complaint *why);
void device_close(struct device *);

#endif
