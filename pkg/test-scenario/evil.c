// SPDX-License-Identifier: MIT
/*
 * evil DIR KEY: package files that a trusted maker has signed and that nobody may
 * install.  Their names say what is wrong.  DIR/none.pkg alone is honest, so that
 * the test can fail.
 *
 * The archives are written byte for byte here: no library would.
 */
#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "../lib/package.h"

#define HEAD "name evil\nversion 1-1\narch any\nsummary s\nlicense MIT\n"
#define HELLO_SIZE 5
enum { BLOCK = 512, BOMB = 80 << 20 };

static const char *folder;
static struct secret secret;
static char hello_hash[HASH_HEX];

struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, link[100], magic[8], owner[32],
	    group[32], major[8], minor[8], prefix[155], pad[12];
};

/* A size of ~0 is written as the largest that the field's binary form holds: 2^63 - 1. */
static void
header(struct buffer *tar, const char *name, char type, uint64_t size, const char *link)
{
	struct header h = {.type = type, .mode = "0000644", .uid = "0000000", .gid = "0000000", .mtime = "00000000000",
	    .major = "0000001", .minor = "0000003"};
	unsigned sum = 0;

	memcpy(h.name, name, strlen(name));
	memcpy(h.link, link ? link : "", link ? strlen(link) : 0);
	memcpy(h.magic, "ustar\00000", 8);
	if (size < 1ULL << 33) {
		snprintf(h.size, sizeof(h.size), "%011llo", (unsigned long long)size);
	} else {
		memset(h.size, 0, sizeof(h.size));
		h.size[0] = (char)0x80;
		for (int i = 0; i < 8; i++)
			h.size[11 - i] = (char)((size & INT64_MAX) >> (8 * i));
	}
	memset(h.sum, ' ', sizeof(h.sum));
	for (size_t i = 0; i < sizeof(h); i++)
		sum += ((unsigned char *)&h)[i];
	snprintf(h.sum, sizeof(h.sum), "%06o", sum);
	buffer_add(tar, &h, sizeof(h));
}
static_assert(sizeof(struct header) == BLOCK, "wire layout");

static void
content(struct buffer *tar, const void *data, size_t size)
{
	static const char zeros[BLOCK];

	buffer_add(tar, data, size);
	buffer_add(tar, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

static void
file(struct buffer *tar, const char *name, const char *data)
{
	header(tar, name, '0', strlen(data), NULL);
	content(tar, data, strlen(data));
}

static void
start(struct buffer *tar, const char *manifest)
{
	struct buffer s = {0};

	signature_add(&s, &secret, manifest, strlen(manifest));
	file(tar, "+MANIFEST", manifest);
	file(tar, "+SIGNATURE", s.data);
	buffer_free(&s);
}

static void
finish(struct buffer *tar, const char *name)
{
	static const char end[2 * BLOCK];
	struct fault f;

	buffer_add(tar, end, sizeof(end));
	size_t room = ZSTD_compressBound(tar->length);
	char *packed = mem_alloc(room), *path = text_format("%s/%s.pkg", folder, name);
	size_t n = ZSTD_compress(packed, room, tar->data, tar->length, 1);

	if (ZSTD_isError(n) || file_replace(path, packed, n, 0644, &f) != 0)
		exit(1);
	free(packed);
	free(path);
	buffer_free(tar);
}

/* The usual manifest: a file usr/bin/evil of "hello", and a link. */
static char *
usual(void)
{
	return text_format(HEAD "file 0755 0 0 5 %s usr/bin/evil\nlink 0 0 evil usr/bin/link\n", hello_hash);
}

/* Manifests that are signed and still may not be. */
static void
evil_manifests(void)
{
	static const struct {
		const char *name, *lines, *behind;	/* a file's hash stands between */
	} evil[] = {
		{"path-dotdot", "file 0644 0 0 5 ", " ../outside\n"},
		{"path-dotdot-within", "file 0644 0 0 5 ", " usr/../../outside\n"},
		{"path-dotdot-escaped", "file 0644 0 0 5 ", " usr\\057..\\057..\\057outside\n"},
		{"path-absolute", "file 0644 0 0 5 ", " /outside\n"},
		{"path-empty-component", "file 0644 0 0 5 ", " usr//x\n"},
		{"path-dot", "file 0644 0 0 5 ", " ./x\n"},
		{"path-database", "file 0644 0 0 5 ", " var/lib/pkg/db\n"},
		{"path-staging", "file 0644 0 0 5 ", " var/lib/pkg/stage/1\n"},
		{"path-control", "file 0644 0 0 5 ", " x\ty\n"},
		{"path-nul-escaped", "file 0644 0 0 5 ", " x\\000y\n"},
		{"link-then-below", "link 0 0 /etc a\nfile 0644 0 0 5 ", " a/passwd\n"},
		{"file-then-below", "file 0644 0 0 5 ", " a\nlink 0 0 x a/b\n"},
		{"duplicate", "link 0 0 x a\nfile 0644 0 0 5 ", " a\n"},
		{"order", "link 0 0 x b\nfile 0644 0 0 5 ", " a\n"},
		{"device", "device 0644 0 0 1 3 ", " dev/null\n"},
		{"size-2-63", "file 0644 0 0 9223372036854775808 ", " a\n"},
		{"size-2-64", "file 0644 0 0 18446744073709551616 ", " a\n"},
		{"size-negative", "file 0644 0 0 -5 ", " a\n"},
		{"size-of-many", "file 0644 0 0 1125899906842624 ", " a\nfile 0644 0 0 1 00 b\n"},
		{"mode-too-large", "file 100644 0 0 5 ", " a\n"},
		{"uid-negative", "file 0644 -1 0 5 ", " a\n"},
		{"config-elsewhere", "config etc/passwd\nfile 0644 0 0 5 ", " a\n"},
		{"trigger-relative", "trigger usr bin/sh\nfile 0644 0 0 5 ", " a\n"},
		{"trigger-dotdot", "trigger usr /../bin/sh\nfile 0644 0 0 5 ", " a\n"},
		{"name-twice", "name other\nfile 0644 0 0 5 ", " a\n"},
		{"key-unknown", "script rm -rf /\nfile 0644 0 0 5 ", " a\n"},
	};

	for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
		struct buffer tar = {0};
		char *text = text_format(HEAD "%s%s%s", evil[i].lines, hello_hash, evil[i].behind);

		start(&tar, text);
		file(&tar, "a", "hello");
		finish(&tar, evil[i].name);
		free(text);
	}
}

struct variant {
	const char *name, *path, *content;
	char type;
	const char *link, *last_link;	/* of the file, of the link */
	const char *extra;		/* one more file */
	uint64_t size;			/* that the header claims, if not 0 */
	unsigned times;
};

/* Archives that hold something else than their signed manifest says. */
static void
evil_archives(void)
{
	static const struct variant variants[] = {
		{"none", "usr/bin/evil", "hello", '0', NULL, "evil", NULL, 0, 1},
		{"content-differs", "usr/bin/evil", "jello", '0', NULL, "evil", NULL, 0, 1},
		{"content-longer", "usr/bin/evil", "hello!", '0', NULL, "evil", NULL, 0, 1},
		{"content-shorter", "usr/bin/evil", "hell", '0', NULL, "evil", NULL, 0, 1},
		{"content-missing", "usr/bin/evil", "", '0', NULL, "evil", NULL, 5, 1},
		{"member-2-63", "usr/bin/evil", "hello", '0', NULL, "evil", NULL, INT64_MAX, 1},
		{"member-2-40", "usr/bin/evil", "hello", '0', NULL, "evil", NULL, 1ULL << 40, 1},
		{"member-dotdot", "../../outside", "hello", '0', NULL, "evil", NULL, 0, 1},
		{"member-absolute", "/tmp/outside", "hello", '0', NULL, "evil", NULL, 0, 1},
		{"member-other", "usr/bin/other", "hello", '0', NULL, "evil", NULL, 0, 1},
		{"member-missing", "usr/bin/evil", "hello", '0', NULL, "evil", NULL, 0, 0},
		{"member-twice", "usr/bin/evil", "hello", '0', NULL, "evil", NULL, 0, 2},
		{"member-extra", "usr/bin/evil", "hello", '0', NULL, "evil", "usr/bin/zzz", 0, 1},
		{"member-extra-outside", "usr/bin/evil", "hello", '0', NULL, "evil", "../../outside", 0, 1},
		{"hard-link", "usr/bin/evil", "", '1', "/etc/passwd", "evil", NULL, 0, 1},
		{"hard-link-inside", "usr/bin/evil", "", '1', "+MANIFEST", "evil", NULL, 0, 1},
		{"symbolic-link", "usr/bin/evil", "", '2', "/etc/passwd", "evil", NULL, 0, 1},
		{"character-device", "usr/bin/evil", "", '3', NULL, "evil", NULL, 0, 1},
		{"block-device", "usr/bin/evil", "", '4', NULL, "evil", NULL, 0, 1},
		{"folder-for-file", "usr/bin/evil", "", '5', NULL, "evil", NULL, 0, 1},
		{"pipe", "usr/bin/evil", "", '6', NULL, "evil", NULL, 0, 1},
		{"link-elsewhere", "usr/bin/evil", "hello", '0', NULL, "/etc/passwd", NULL, 0, 1},
	};

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		const struct variant *v = &variants[i];
		struct buffer tar = {0};
		char *text = usual();

		start(&tar, text);
		for (unsigned n = 0; n < v->times; n++) {
			header(&tar, v->path, v->type, v->size ? v->size : strlen(v->content), v->link);
			content(&tar, v->content, strlen(v->content));
		}
		header(&tar, "usr/bin/link", '2', 0, v->last_link);
		if (v->extra != NULL)
			file(&tar, v->extra, "hello");
		finish(&tar, v->name);
		free(text);
	}
}

/* Few bytes that become many. */
static void
bombs(void)
{
	static char zeros[BOMB];
	struct buffer tar = {0};
	char *text = usual();

	header(&tar, "+MANIFEST", '0', BOMB, NULL);
	content(&tar, zeros, BOMB);
	finish(&tar, "bomb-manifest");
	header(&tar, "+MANIFEST", '0', INT64_MAX, NULL);
	finish(&tar, "bomb-manifest-2-63");
	file(&tar, "+MANIFEST", text);
	header(&tar, "+SIGNATURE", '0', BOMB, NULL);
	content(&tar, zeros, BOMB);
	finish(&tar, "bomb-signature");
	start(&tar, text);
	header(&tar, "pax", 'x', BOMB, NULL);
	content(&tar, zeros, BOMB);
	file(&tar, "usr/bin/evil", "hello");
	finish(&tar, "bomb-pax");
	start(&tar, text);
	header(&tar, "././@LongLink", 'L', BOMB, NULL);
	content(&tar, zeros, BOMB);
	file(&tar, "usr/bin/evil", "hello");
	finish(&tar, "bomb-long-name");
	start(&tar, text);
	header(&tar, "usr/bin/evil", '0', BOMB, NULL);
	content(&tar, zeros, BOMB);
	finish(&tar, "bomb-file");
	free(text);
	/* The manifest says so itself: no disk has the room. */
	text = text_format(HEAD "file 0755 0 0 1125899906842624 %s usr/bin/evil\n", hello_hash);
	start(&tar, text);
	header(&tar, "usr/bin/evil", '0', 1ULL << 50, NULL);
	content(&tar, zeros, BOMB);
	finish(&tar, "bomb-signed-size");
	free(text);
}

static void
evil_beginnings(void)
{
	struct buffer tar = {0};
	char *text = usual(), *other = text_format("%sright all\n", HEAD);

	file(&tar, "usr/bin/evil", "hello");
	start(&tar, text);
	finish(&tar, "manifest-later");
	file(&tar, "+MANIFEST", other);
	start(&tar, text);
	file(&tar, "usr/bin/evil", "hello");
	finish(&tar, "manifest-twice");
	file(&tar, "+MANIFEST", text);
	file(&tar, "usr/bin/evil", "hello");
	finish(&tar, "signature-missing");
	file(&tar, "+MANIFEST", text);
	file(&tar, "+SIGNATURE", "");
	file(&tar, "usr/bin/evil", "hello");
	finish(&tar, "signature-empty");
	struct buffer s = {0};

	signature_add(&s, &secret, other, strlen(other));
	file(&tar, "+MANIFEST", text);
	file(&tar, "+SIGNATURE", s.data);
	file(&tar, "usr/bin/evil", "hello");
	finish(&tar, "signature-of-another");
	header(&tar, "+MANIFEST", '2', 0, "/etc/passwd");
	finish(&tar, "manifest-link");
	finish(&tar, "empty-archive");
	buffer_free(&s);
	free(text);
	free(other);
}

int
main(int argc, char **argv)
{
	uint8_t hash[HASH_SIZE];
	struct fault f;

	if (argc == 2 && strcmp(argv[1], "--help") == 0)
		return puts("usage: evil DIR KEY") < 0;
	if (argc != 3 || sodium_init() < 0 || secret_load(&secret, argv[2], &f) != 0)
		return 2;
	folder = argv[1];
	crypto_generichash(hash, sizeof(hash), (const uint8_t *)"hello", HELLO_SIZE, NULL, 0);
	hex_encode(hello_hash, hash, HASH_SIZE);
	evil_manifests();
	evil_archives();
	bombs();
	evil_beginnings();
	return 0;
}
