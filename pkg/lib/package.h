/* SPDX-License-Identifier: MIT */
/*
 * Packages and indexes as bytes, and keys: pkg(5).  Everything read here was
 * written by others; nothing of it is used before it was checked, and only the
 * signed manifest says what a file is called, may do and belongs to.
 */
#ifndef PKG_PACKAGE_H
#define PKG_PACKAGE_H

#include "base.h"

enum {
	MANIFEST_MAX = 64 << 20,	/* bytes of text */
	MANIFEST_LINE_MAX = 16384,
	MANIFEST_LIST_MAX = 65536,	/* needs, provides, … of each kind */
	MANIFEST_ENTRIES_MAX = 1000000,
	INDEX_MAX = 256 << 20,
};

enum entry_type { ENTRY_DIR = 'd', ENTRY_FILE = 'f', ENTRY_LINK = 'l' };

struct entry {
	enum entry_type type;
	bool config;		/* listed as a configuration file */
	unsigned mode;		/* 0 for links */
	unsigned uid, gid;
	uint64_t size;		/* of files, in bytes */
	uint8_t hash[HASH_SIZE];	/* of files */
	char *path;		/* relative to the root */
	char *target;		/* of links */
};

struct manifest {
	char *name, *version, *arch, *summary, *license, *url;
	uint64_t date;		/* seconds since 1970: the files' mtime */
	uint64_t size;		/* of all files; computed while reading */
	struct list needs, provides, conflicts, replaces, config, triggers, rights;
	struct entry *entries;	/* ascending by path (strcmp) */
	size_t entry_count;
	/* Only in an index: the file beside it. */
	char *file;
	uint64_t file_size;
	uint8_t file_hash[HASH_SIZE];
};

enum manifest_form {
	MANIFEST_WHOLE,		/* of a package: all facts, entries */
	MANIFEST_HEADER,	/* of an index or the database: no entries */
	MANIFEST_TEMPLATE,	/* for package_create: arch, date optional; mode, owner lines */
};

/* `where` names the text in messages.  *m is freed by the caller in any case. */
int manifest_parse(struct manifest *m, const char *text, size_t length, enum manifest_form form,
    const char *where, struct fault *f);
void manifest_write(struct buffer *b, const struct manifest *m, bool entries);
void manifest_free(struct manifest *m);
const struct entry *manifest_find(const struct manifest *m, const char *path);

/* ---- keys ---- */

enum { KEY_PUBLIC = 32, KEY_SECRET = 64, KEY_ID = 8, SIGNATURE = 64, KEYS_MAX = 64 };

struct key {
	char *name;		/* of the file */
	uint8_t public_key[KEY_PUBLIC];
	uint8_t id[KEY_ID];	/* the first bytes of BLAKE2b-256 of the key */
};
struct keys {
	struct key *items;
	size_t count;
};
struct secret {
	uint8_t key[KEY_SECRET];
	uint8_t id[KEY_ID];
};

/* Every *.pub in a folder; a folder that is not there holds none. */
int keys_load(struct keys *k, const char *folder, struct fault *f);
void keys_free(struct keys *k);
/* Writes BASE.pub and BASE.key (0600); refuses to replace either. */
int key_make(const char *base, struct fault *f);
int key_read(struct key *k, const char *path, struct fault *f);
int secret_load(struct secret *s, const char *path, struct fault *f);
/* Signature lines of a text: "ed25519 ID SIGNATURE\n". */
void signature_add(struct buffer *b, const struct secret *s, const void *text, size_t length);
/* One of the lines must be by a key that is trusted, and right. */
int signature_check(const struct keys *k, const char *lines, const void *text, size_t length,
    const char *where, struct fault *f);

/* ---- package files ---- */

struct package_file;
/* Opens a package and reads and checks its manifest and signature; keys NULL: trusts. */
int package_open(struct package_file **p, const char *path, const struct keys *keys, struct fault *f);
const struct manifest *package_manifest(const struct package_file *p);
/*
 * The next member, which must be the next entry; *e is NULL at the end.  A
 * file's content comes by package_data.
 */
int package_next(struct package_file *p, const struct entry **e, struct fault *f);
/*
 * Writes the file's content to fd (or nowhere, -1).  Its hash is checked with those
 * of others: package_next fails then, at the latest instead of telling the end.
 */
int package_data(struct package_file *p, const struct entry *e, int fd, struct fault *f);
/* Into memory, for small files, and checked at once. */
int package_text(struct package_file *p, const struct entry *e, struct buffer *text, struct fault *f);
/* Reads the manifest without its entries; *m is freed by the caller in any case. */
int package_header(const char *path, const struct keys *keys, struct manifest *m, struct fault *f);
void package_close(struct package_file *p);
/*
 * Many packages may be open, few at work: a resting one keeps its manifest only.
 * Awake again it stands before its first entry, and is still the same.
 */
void package_rest(struct package_file *p);
int package_wake(struct package_file *p, struct fault *f);

/* Makes a package of a folder and a template; *path is the file that was written. */
struct create {
	const char *folder, *template, *output, *arch;
	const struct secret *secret;	/* NULL: unsigned */
};
int package_create(const struct create *c, char **path, struct fault *f);

/*
 * What an ELF file calls itself (DT_SONAME) and needs (DT_NEEDED); a file that
 * is no ELF, or a broken one, has neither.
 */
void elf_read(int fd, char **soname, struct list *needed);

/* ---- indexes ---- */

struct advisory {
	char *id, *dep, *text;
};
struct index {
	uint64_t serial, created, expires;
	struct manifest *packages;
	size_t count;
	struct advisory *advisories;
	size_t advisory_count;
};

int index_parse(struct index *i, const char *text, size_t length, const char *where, struct fault *f);
/* keys NULL: not checked, which only the builder of an index does. */
int index_load(struct index *i, const char *path, const struct keys *keys, struct fault *f);
void index_free(struct index *i);
/* Signs a body, and replaces the file by it. */
int index_write(const char *path, const struct buffer *body, const struct secret *s, struct fault *f);
/* Writes index.zst for the *.pkg of a folder with the next serial. */
int index_build(const char *folder, const struct secret *s, uint64_t now, uint64_t days,
    struct index *made, struct fault *f);

#endif
