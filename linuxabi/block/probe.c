/* SPDX-License-Identifier: MIT */
/*
 * Superblocks that name themselves.  Places are those of e2fsprogs'
 * ext2_fs.h, Microsoft's FAT specification (fatgen103) and mkswap(8).
 */
#include "probe.h"

enum {
	EXT_SUPER = 1024, EXT_MAGIC = 56, EXT_COMPAT = 92, EXT_INCOMPAT = 96, EXT_UUID = 104, EXT_LABEL = 120,
	EXT_LABEL_BYTES = 16,
	EXT_HAS_JOURNAL = 4, EXT_EXTENTS = 0x40,
	SWAP_MAGIC = 4096 - 10, SWAP_UUID = 1024 + 12, SWAP_LABEL = 1024 + 28, SWAP_LABEL_BYTES = 16,
	FAT_LABEL_BYTES = 11,
};

static uint32_t get16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t get32(const uint8_t *p) { return get16(p) | get16(p + 2) << 16; }

/* Without what fills it up at the end. */
static void
copy_label(char *to, const uint8_t *from, size_t n)
{
	memcpy(to, from, n);
	to[n] = '\0';
	for (n = strlen(to); n > 0 && to[n - 1] == ' '; )
		to[--n] = '\0';
}

static void
copy_uuid(char *to, const uint8_t *u)
{
	bool any = false;

	for (unsigned i = 0; i < 16; i++) {
		any |= u[i] != 0;
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*to++ = '-';
		ksnprintf(to, 3, "%02x", u[i]);
		to += 2;
	}
	if (!any)
		to[-36] = '\0';
}

static bool
probe_ext(struct probe *p, const uint8_t *b)
{
	const uint8_t *s = b + EXT_SUPER;

	if (get16(s + EXT_MAGIC) != 0xef53)
		return false;
	p->type = get32(s + EXT_INCOMPAT) & EXT_EXTENTS ? "ext4" : get32(s + EXT_COMPAT) & EXT_HAS_JOURNAL ? "ext3" : "ext2";
	copy_uuid(p->uuid, s + EXT_UUID);
	copy_label(p->label, s + EXT_LABEL, EXT_LABEL_BYTES);
	return true;
}

static bool
probe_swap(struct probe *p, const uint8_t *b)
{
	if (memcmp(b + SWAP_MAGIC, "SWAPSPACE2", 10) != 0)
		return false;
	p->type = "swap";
	copy_uuid(p->uuid, b + SWAP_UUID);
	copy_label(p->label, b + SWAP_LABEL, SWAP_LABEL_BYTES);
	return true;
}

static bool
power_of_two(uint32_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* The extended boot record begins elsewhere when there is no 16-bit size of a FAT (FAT32). */
static bool
probe_fat(struct probe *p, const uint8_t *b)
{
	uint32_t sector = get16(b + 11), fat16 = get16(b + 22);
	const uint8_t *ebr = b + (fat16 != 0 ? 36 : 64);

	if (b[510] != 0x55 || b[511] != 0xaa || (b[0] != 0xeb && b[0] != 0xe9))
		return false;
	if (!power_of_two(sector) || sector < 512 || sector > 4096 || !power_of_two(b[13]) || get16(b + 14) == 0)
		return false;
	if (b[16] == 0 || b[16] > 4 || (b[21] != 0xf0 && b[21] < 0xf8) || (fat16 == 0 && get32(b + 36) == 0))
		return false;
	p->type = "vfat";
	if (ebr[2] != 0x29)
		return true;
	ksnprintf(p->uuid, sizeof(p->uuid), "%04X-%04X", (unsigned)get16(ebr + 5), (unsigned)get16(ebr + 3));
	copy_label(p->label, ebr + 7, FAT_LABEL_BYTES);
	if (strcmp(p->label, "NO NAME") == 0)
		p->label[0] = '\0';
	return true;
}

void
probe_superblock(struct probe *p, const uint8_t *first)
{
	memset(p, 0, sizeof(*p));
	if (probe_ext(p, first) || probe_swap(p, first))
		return;
	(void)probe_fat(p, first);
}

static bool
is_harmless(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80 ||
	    strchr("#+-.:=@_", c) != NULL;
}

void
probe_encode(char *to, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if (is_harmless(c)) {
			*to++ = (char)c;
			continue;
		}
		ksnprintf(to, 5, "\\x%02x", c);
		to += 4;
	}
	*to = '\0';
}
