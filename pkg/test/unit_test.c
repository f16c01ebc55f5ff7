// SPDX-License-Identifier: MIT
/*
 * libpkg's readers, each with what it must accept and what it must refuse.
 */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sodium.h>
#include <solv/evr.h>
#include <solv/pool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/package.h"

static unsigned passed, failed;

static void
check(bool good, const char *what, const char *detail)
{
	if (good) {
		passed++;
		return;
	}
	failed++;
	printf("FAILED %s: %s\n", what, detail ? detail : "");
}

static int
sign_of(int n)
{
	return (n > 0) - (n < 0);
}

static void
versions_are_ordered_as_the_solver_orders_them(void)
{
	static const char *const ascending[] = {"0-1", "0.9~beta-1", "0.9-1", "1~-1", "1-1", "1-2", "1-10", "1a-1", "1b-1",
	    "1+-1", "1.0-1", "1.0a-1", "1.0.1-1", "1.02-1", "1.3-1", "1.10-1", "2-1", "10-1", "20240101-1", "a-1"};
	enum { N = sizeof(ascending) / sizeof(ascending[0]) };
	Pool *pool = pool_create();

	pool_setdisttype(pool, DISTTYPE_DEB);
	for (int i = 0; i < N; i++) {
		for (int j = 0; j < N; j++) {
			int ours = sign_of(version_compare(ascending[i], ascending[j]));
			int theirs = sign_of(pool_evrcmp_str(pool, ascending[i], ascending[j], EVRCMP_COMPARE));
			char *detail = text_format("%s against %s: ours %d, the solver's %d, the table's %d", ascending[i],
			    ascending[j], ours, theirs, sign_of(i - j));

			check(ours == theirs && ours == sign_of(i - j), "order of versions", detail);
			free(detail);
		}
	}
	check(version_compare("1.2", "1.2-7") == 0, "no release means any", NULL);
	check(version_compare("1.01-1", "1.1-1") == 0, "zeros in front do not count", NULL);
	pool_free(pool);
}

static void
unsafe_paths_are_refused(void)
{
	static const char *const bad[] = {"", "/", "/etc", "a//b", "a/", "./a", "a/.", "..", "../a", "a/../b", "a/..",
	    "var/lib/pkg", "var/lib/pkg/db", "var/lib/pkg/stage/1"};
	static const char *const good[] = {"a", "usr/bin/x", "..a", "a../b", ".hidden", "a/...", "var/lib/pkgs", "var/lib"};
	char *component = mem_alloc(300), *deep = mem_alloc(5000);

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check(!path_is_safe(bad[i]), "unsafe path", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		check(path_is_safe(good[i]), "safe path", good[i]);
	memset(component, 'x', 255);
	check(path_is_safe(component), "255 bytes are a name", NULL);
	component[255] = 'x';
	check(!path_is_safe(component), "256 bytes are none", NULL);
	for (int i = 0; i < 2001; i++)
		memcpy(deep + 2 * i, "a/", 2);
	deep[4001] = '\0';
	check(!path_is_safe(deep), "4001 bytes are no path", NULL);
	free(component);
	free(deep);
}

static void
escapes_come_back(void)
{
	struct buffer b = {0};
	char bad1[] = "a\\04", bad2[] = "a b", bad3[] = "\\000", bad4[] = "\\777";

	path_escape(&b, "a b\n\\\x7f\xc3\xa4");
	check(strcmp(b.data, "a\\040b\\012\\134\\177\xc3\xa4") == 0, "escape", b.data);
	check(path_unescape(b.data) && strcmp(b.data, "a b\n\\\x7f\xc3\xa4") == 0, "unescape", b.data);
	check(!path_unescape(bad1) && !path_unescape(bad2) && !path_unescape(bad3) && !path_unescape(bad4),
	    "broken escapes", NULL);
	buffer_free(&b);
}

static void
numbers_are_strict(void)
{
	uint64_t n;

	check(number_parse("18446744073709551615", 10, UINT64_MAX, &n) && n == UINT64_MAX, "largest number", NULL);
	check(!number_parse("18446744073709551616", 10, UINT64_MAX, &n), "too large by one", NULL);
	check(!number_parse("", 10, 9, &n) && !number_parse("-1", 10, 9, &n) && !number_parse("01", 10, 9, &n) &&
	    !number_parse(" 1", 10, 9, &n) && !number_parse("1x", 10, 9, &n) && !number_parse("8", 8, 9, &n) &&
	    !number_parse("10", 10, 9, &n), "no numbers", NULL);
	check(dep_is_valid("so:libstdc++.so.6") && dep_is_valid("a>=1.2-3") && dep_is_valid("pc:gtk+-3.0=3.24"), "relations",
	    NULL);
	check(!dep_is_valid("") && !dep_is_valid(">1") && !dep_is_valid("a>=") && !dep_is_valid("a b") &&
	    !dep_is_valid("a=<1") && !dep_is_valid("a=1=2") && !dep_is_valid("-a"), "no relations", NULL);
}

/* ---- manifests ---- */

#define HEAD "name x\nversion 1-1\narch any\nsummary s\nlicense MIT\n"
#define HASH "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
#define FILE_A "file 0644 0 0 0 " HASH " a\n"

static const struct {
	const char *text;
	const char *error;	/* a part of it; NULL: is accepted */
} manifests[] = {
	{HEAD, NULL},
	{HEAD "dir 0755 0 0 usr\nfile 4755 0 0 5 " HASH " usr/a\\040b\nlink 0 0 /etc/x usr/c\n", NULL},
	{HEAD "config a\n" FILE_A, NULL},
	{HEAD "trigger usr/share/fonts /usr/bin/fc-cache -f\n", NULL},
	{"name x\n", "lacks"},
	{HEAD "name y\n", "line 6: said twice"},
	{HEAD "colour blue\n", "line 6: unknown key 'colour'"},
	{HEAD "summary\n", "line 6: a key without a value"},
	{HEAD "url \n", "line 6: a key without a value"},
	{HEAD "url a\tb\n", "line 6: a control character"},
	{HEAD "url x", "line 6: the last line does not end"},
	{"name X\n", "line 1: no name"},
	{"name ../x\n", "line 1: no name"},
	{"version 1\n", "line 1: no version-release"},
	{"version 1/2-1\n", "line 1: no version-release"},
	{HEAD "needs a=>1\n", "line 6: no name or relation"},
	{HEAD "file 0644 0 0 0 " HASH " /a\n", "line 6: a package may not have the path"},
	{HEAD "file 0644 0 0 0 " HASH " ../a\n", "line 6: a package may not have the path"},
	{HEAD "file 0644 0 0 0 " HASH " a\\057..\\057b\n", "line 6: a package may not have the path"},
	{HEAD "dir 0755 0 0 var/lib/pkg\n", "line 6: a package may not have the path"},
	{HEAD FILE_A FILE_A, "line 7: twice, or not in order"},
	{HEAD "file 0644 0 0 0 " HASH " b\n" FILE_A, "line 7: twice, or not in order"},
	{HEAD "file 10000 0 0 0 " HASH " a\n", "line 6: no mode"},
	{HEAD "file 0644 0 4294967296 0 " HASH " a\n", "line 6: no owner"},
	{HEAD "file 0644 0 0 9223372036854775808 " HASH " a\n", "line 6: no size"},
	{HEAD "file 0644 0 0 -1 " HASH " a\n", "line 6: no size"},
	{HEAD "file 0644 0 0 0 00 a\n", "line 6: no hash"},
	{HEAD "file 0644 0 0 0 " HASH " a b\n", "line 6: too many words"},
	{HEAD "file 0644 0 0 0 " HASH "\n", "line 6: no path"},
	{HEAD "device 0644 0 0 1 3 dev/null\n", "line 6: unknown key 'device'"},
	{HEAD "link 0 0 /etc a\nfile 0644 0 0 0 " HASH " a/passwd\n", "a is no folder, and passwd lies in it"},
	{HEAD "link 0 0 /etc a\nlink 0 0 x a-b\nfile 0644 0 0 0 " HASH " a/p\n", "a is no folder"},
	{HEAD "config b\n" FILE_A, "configuration file b is no file"},
	{HEAD "trigger usr fc-cache\n", "line 6: a trigger is"},
	{HEAD "trigger ../usr /bin/x\n", "line 6: a trigger is"},
	{HEAD "trigger usr /../../bin/x\n", "line 6: a trigger is"},
	{HEAD "package x 1 " HASH "\n", "line 6: unknown key"},
};

static void
manifests_are_read_strictly(void)
{
	for (size_t i = 0; i < sizeof(manifests) / sizeof(manifests[0]); i++) {
		struct fault f = {0};
		struct manifest m;
		struct buffer again = {0};
		const char *text = manifests[i].text;
		int status = manifest_parse(&m, text, strlen(text), MANIFEST_WHOLE, "m", &f);

		if (manifests[i].error == NULL) {
			check(status == 0, text, f.text);
			manifest_write(&again, &m, true);
			check(strcmp(again.data, text) == 0, "written as read", again.data);
		} else {
			check(status == PKG_CORRUPT && strstr(f.text, manifests[i].error) != NULL, text, f.text);
		}
		buffer_free(&again);
		manifest_free(&m);
	}
}

/* ---- signatures and packages ---- */

static char work[] = "/tmp/pkg-unit-XXXXXX";
static struct secret secret;
static struct keys trusted, strangers;

static char *
in_work(const char *name)
{
	return text_format("%s/%s", work, name);
}

static void
keys_make(void)
{
	struct fault f = {0};
	char *good = in_work("good/k"), *other = in_work("other/k"), *folder;

	folder = in_work("good");
	check(mkdir(folder, 0755) == 0 && key_make(good, &f) == 0 && keys_load(&trusted, folder, &f) == 0 &&
	    trusted.count == 1, "key", f.text);
	check(key_make(good, &f) != 0, "a key is not replaced", NULL);
	free(folder);
	folder = in_work("other");
	check(mkdir(folder, 0755) == 0 && key_make(other, &f) == 0 && keys_load(&strangers, folder, &f) == 0, "key", f.text);
	free(folder);
	char *key = text_format("%s.key", good);
	struct stat st;

	check(secret_load(&secret, key, &f) == 0, "secret key", f.text);
	check(stat(key, &st) == 0 && (st.st_mode & 077) == 0, "nobody else reads it", NULL);
	free(key);
	free(good);
	free(other);
}

enum evil {
	HONEST, EXTRA, SWAPPED, RENAMED, DOTDOT, LONGER, SHORTER, MISSING, HARDLINK, DEVICE, TWICE, LINK_ELSEWHERE,
	MANIFEST_LATER, EVIL_COUNT, ANOTHER
};
static const char *const evil_names[] = {"honest", "extra member", "other content", "other name", "dot dot", "longer",
    "shorter", "missing member", "hard link", "device", "twice", "link elsewhere", "manifest later"};

static void
member(struct archive *a, const char *path, unsigned type, const char *data, size_t size, const char *link)
{
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, type);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, type == AE_IFREG ? (la_int64_t)size : 0);
	if (type == AE_IFLNK)
		archive_entry_set_symlink(e, link);
	else if (link != NULL)
		archive_entry_set_hardlink(e, link);
	archive_write_header(a, e);
	if (type == AE_IFREG && link == NULL)
		archive_write_data(a, data, size);
	archive_entry_free(e);
}

/* A package with a file "a" of content "hello" and a link "l" to it, signed, and then some. */
static char *
make_package(enum evil evil)
{
	char *path = in_work("p.pkg"), hash_hex[HASH_HEX];
	uint8_t hash[HASH_SIZE];
	struct buffer m = {0}, s = {0};
	struct archive *a = archive_write_new();

	crypto_generichash(hash, sizeof(hash), (const uint8_t *)"hello", 5, NULL, 0);
	hex_encode(hash_hex, hash, HASH_SIZE);
	buffer_format(&m, HEAD "%sfile 0644 0 0 5 %s a\nlink 0 0 a l\n", evil == ANOTHER ? "url x\n" : "", hash_hex);
	signature_add(&s, &secret, m.data, m.length);
	archive_write_add_filter_zstd(a);
	archive_write_set_format_pax_restricted(a);
	archive_write_open_filename(a, path);
	if (evil == MANIFEST_LATER)
		member(a, "a", AE_IFREG, "hello", 5, NULL);
	member(a, "+MANIFEST", AE_IFREG, m.data, m.length, NULL);
	member(a, "+SIGNATURE", AE_IFREG, s.data, s.length, NULL);
	if (evil == RENAMED || evil == DOTDOT)
		member(a, evil == DOTDOT ? "../a" : "b", AE_IFREG, "hello", 5, NULL);
	else if (evil == HARDLINK)
		member(a, "a", AE_IFREG, NULL, 0, "/etc/passwd");
	else if (evil == DEVICE)
		member(a, "a", AE_IFCHR, NULL, 0, NULL);
	else if (evil == LONGER || evil == SHORTER)
		member(a, "a", AE_IFREG, "hello!", evil == LONGER ? 6 : 4, NULL);
	else if (evil != MISSING)
		member(a, "a", AE_IFREG, evil == SWAPPED ? "jello" : "hello", 5, NULL);
	if (evil == TWICE)
		member(a, "a", AE_IFREG, "hello", 5, NULL);
	member(a, "l", AE_IFLNK, NULL, 0, evil == LINK_ELSEWHERE ? "/etc" : "a");
	if (evil == EXTRA)
		member(a, "z", AE_IFREG, "hello", 5, NULL);
	archive_write_free(a);
	buffer_free(&m);
	buffer_free(&s);
	return path;
}

/* Reads a package to its end, as an installation does. */
static int
read_package(const char *path, const struct keys *keys, struct fault *f)
{
	struct package_file *p;
	const struct entry *e;
	int status = package_open(&p, path, keys, f);

	while (status == 0 && (status = package_next(p, &e, f)) == 0 && e != NULL) {
		if (e->type == ENTRY_FILE)
			status = package_data(p, e, -1, f);
	}
	package_close(p);
	return status;
}

static void
packages_hold_what_was_signed(void)
{
	for (int evil = HONEST; evil < EVIL_COUNT; evil++) {
		struct fault f = {0};
		char *path = make_package(evil);
		int status = read_package(path, &trusted, &f);

		check(status == (evil == HONEST ? 0 : PKG_CORRUPT), evil_names[evil], f.text);
		free(path);
	}
	struct fault f = {0};
	char *path = make_package(HONEST);

	check(read_package(path, &strangers, &f) == PKG_UNTRUSTED && strstr(f.text, "not trusted here") != NULL,
	    "a stranger's signature", f.text);
	free(path);
}

/* What is checked first and read later is not exchanged in between. */
static void
packages_stay_the_same_while_they_rest(void)
{
	for (int evil = HONEST; evil <= ANOTHER; evil += ANOTHER - HONEST) {
		struct package_file *p;
		const struct entry *e = NULL;
		struct fault f = {0};
		char *path = make_package(HONEST);

		check(package_open(&p, path, &trusted, &f) == 0, "open", f.text);
		package_rest(p);
		free(path);
		path = make_package(evil);
		int status = package_wake(p, &f);

		check(status == (evil == HONEST ? 0 : PKG_CORRUPT), "wake", f.text);
		check(evil != HONEST || (package_next(p, &e, &f) == 0 && e != NULL && strcmp(e->path, "a") == 0 &&
		    package_data(p, e, -1, &f) == 0), "awake", f.text);
		check(evil == HONEST || strstr(f.text, "was replaced meanwhile") != NULL, "the reason", f.text);
		package_close(p);
		free(path);
	}
}

/* Cut anywhere or with a byte changed, a package is never taken for whole. */
static void
damaged_packages_are_noticed(void)
{
	struct buffer whole = {0};
	struct fault f = {0};
	char *path = make_package(HONEST);
	size_t wrong = 0, cut_taken = 0;

	check(file_read(path, 1 << 20, &whole, &f) == 0, "read back", f.text);
	for (size_t n = 0; n < whole.length; n += 7) {
		check(file_replace(path, whole.data, n, 0644, &f) == 0, "cut", f.text);
		cut_taken += read_package(path, &trusted, &f) == 0;
	}
	for (size_t n = 0; n < whole.length; n += 5) {
		struct fault g = {0};

		whole.data[n] ^= 0x20;
		check(file_replace(path, whole.data, whole.length, 0644, &f) == 0, "change", f.text);
		/* A byte of padding or of unused header may change nothing that counts. */
		int status = read_package(path, &trusted, &g);

		wrong += status != 0 && status != PKG_CORRUPT && status != PKG_UNTRUSTED && status != PKG_FAILED;
		wrong += status != 0 && g.text[0] == '\0';
		whole.data[n] ^= 0x20;
	}
	check(cut_taken == 0, "a cut package was taken", NULL);
	check(wrong == 0, "a damaged package without a reason", NULL);
	buffer_free(&whole);
	free(path);
}

static void
indexes_are_read_strictly(void)
{
	static const char head[] = "index 1\nserial 3\ncreated 10\nexpires 20\n";
	static const char one[] = "package x.pkg 5 " HASH "\n" HEAD "end\n";
	static const char *const bad[] = {"", "index 2\n", "index 1\nserial x\n", "rubbish\n", "package x\n"};
	struct index i;
	struct fault f = {0};
	char *text = text_format("%s%s%sadvisory A-1 x<2 bad things\n", head, one, one);

	check(index_parse(&i, text, strlen(text), "i", &f) == 0 && i.serial == 3 && i.expires == 20 && i.count == 2 &&
	    i.advisory_count == 1 && strcmp(i.packages[1].file, "x.pkg") == 0, "index", f.text);
	index_free(&i);
	/* Every beginning of it is refused, or has fewer packages: none is half. */
	for (size_t n = 0; n < strlen(text); n++) {
		int status = index_parse(&i, text, n, "i", &f);

		check(status != 0 || (i.count <= 2 && text[n - 1] == '\n'), "beginning of an index", f.text);
		index_free(&i);
	}
	free(text);
	for (size_t n = 0; n < sizeof(bad) / sizeof(bad[0]); n++) {
		text = text_format("%s%s", n < 4 ? "" : head, bad[n]);
		check(index_parse(&i, text, strlen(text), "i", &f) == PKG_CORRUPT, "no index", text);
		index_free(&i);
		free(text);
	}
}

/* Our own program is an ELF file that needs libarchive. */
static void
shared_objects_are_seen(void)
{
	struct list needed = {0};
	char *soname, rubbish[256] = "\177ELF\2\1\1";
	bool archive = false;
	int fd = open("/proc/self/exe", O_RDONLY);

	elf_read(fd, &soname, &needed);
	for (size_t i = 0; i < needed.count; i++)
		archive = archive || strncmp(needed.items[i], "libarchive.so", 13) == 0;
	check(archive && soname == NULL, "DT_NEEDED of this test", NULL);
	close(fd);
	list_free(&needed);
	char *path = in_work("elf");

	memset(rubbish + 16, 0xff, sizeof(rubbish) - 16);
	rubbish[54] = 56;
	rubbish[55] = 0;
	rubbish[56] = 1;
	rubbish[57] = 0;
	fd = open(path, O_RDWR | O_CREAT, 0600);
	check(write_all(fd, rubbish, sizeof(rubbish)) == 0, "write", NULL);
	elf_read(fd, &soname, &needed);
	check(soname == NULL && needed.count == 0, "a broken ELF file says nothing", NULL);
	close(fd);
	free(path);
}

int
main(void)
{
	if (sodium_init() < 0 || mkdtemp(work) == NULL)
		return 1;
	versions_are_ordered_as_the_solver_orders_them();
	unsafe_paths_are_refused();
	escapes_come_back();
	numbers_are_strict();
	manifests_are_read_strictly();
	keys_make();
	packages_hold_what_was_signed();
	packages_stay_the_same_while_they_rest();
	damaged_packages_are_noticed();
	indexes_are_read_strictly();
	shared_objects_are_seen();
	keys_free(&trusted);
	keys_free(&strangers);
	char *remove = text_format("rm -rf '%s'", work);

	(void)!system(remove);
	free(remove);
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
