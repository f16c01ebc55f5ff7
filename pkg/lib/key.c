// SPDX-License-Identifier: MIT
/*
 * ed25519 keys and signatures (libsodium), as lines of text.  Several keys may
 * be trusted and several may sign, so a key is replaced by adding the next one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "package.h"

#define PUBLIC_PREFIX "ed25519-public "
#define SECRET_PREFIX "ed25519-secret "

static void
id_of(uint8_t id[KEY_ID], const uint8_t public_key[KEY_PUBLIC])
{
	uint8_t hash[HASH_SIZE];

	crypto_generichash(hash, sizeof(hash), public_key, KEY_PUBLIC, NULL, 0);
	memcpy(id, hash, KEY_ID);
}

/* A file of one line: the prefix and count bytes in hexadecimal. */
static int
read_line(uint8_t *out, size_t count, const char *prefix, const char *path, struct fault *f)
{
	struct buffer b = {0};
	int status = file_read(path, 4096, &b, f);

	if (status == 0) {
		size_t n = strlen(prefix);

		b.data[strcspn(b.data, "\n")] = '\0';
		if (strncmp(b.data, prefix, n) != 0 || !hex_decode(out, count, b.data + n))
			status = fault_set(f, PKG_CORRUPT, "%s is no key: it should read '%s…'", path, prefix);
		sodium_memzero(b.data, b.length);
	}
	buffer_free(&b);
	return status;
}

int
key_read(struct key *k, const char *path, struct fault *f)
{
	const char *slash = strrchr(path, '/');
	int status = read_line(k->public_key, KEY_PUBLIC, PUBLIC_PREFIX, path, f);

	if (status != 0)
		return status;
	k->name = text_dup(slash ? slash + 1 : path);
	id_of(k->id, k->public_key);
	return 0;
}

int
keys_load(struct keys *k, const char *folder, struct fault *f)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	int status = 0;

	*k = (struct keys){0};
	if (d == NULL)
		return errno == ENOENT ? 0 : fault_errno(f, "cannot open %s", folder);
	while (status == 0 && (entry = readdir(d)) != NULL) {
		size_t n = strlen(entry->d_name);

		if (n < 5 || strcmp(entry->d_name + n - 4, ".pub") != 0)
			continue;
		if (k->count == KEYS_MAX) {
			status = fault_set(f, PKG_FAILED, "%s holds more than %d keys", folder, KEYS_MAX);
			break;
		}
		char *path = text_format("%s/%s", folder, entry->d_name);

		k->items = mem_grow(k->items, k->count + 1, sizeof(*k->items));
		status = key_read(&k->items[k->count], path, f);
		k->count += status == 0;
		free(path);
	}
	closedir(d);
	return status;
}

void
keys_free(struct keys *k)
{
	for (size_t i = 0; i < k->count; i++)
		free(k->items[i].name);
	free(k->items);
	*k = (struct keys){0};
}

static int
write_new(const char *path, const char *prefix, const uint8_t *bytes, size_t count, unsigned mode,
    struct fault *f)
{
	struct buffer b = {0};
	char hex[2 * KEY_SECRET + 1];
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0)
		return fault_errno(f, "cannot make %s", path);
	hex_encode(hex, bytes, count);
	buffer_format(&b, "%s%s\n", prefix, hex);
	int status = write_all(fd, b.data, b.length) != 0 || fsync(fd) != 0 ?
	    fault_errno(f, "cannot write %s", path) : 0;

	close(fd);
	sodium_memzero(hex, sizeof(hex));
	sodium_memzero(b.data, b.length);
	buffer_free(&b);
	return status;
}

int
key_make(const char *base, struct fault *f)
{
	uint8_t public_key[KEY_PUBLIC], secret[KEY_SECRET];
	char *pub = text_format("%s.pub", base), *key = text_format("%s.key", base);

	crypto_sign_keypair(public_key, secret);
	/* The seed and the public key: all of libsodium's secret key. */
	int status = write_new(key, SECRET_PREFIX, secret, KEY_SECRET, 0600, f);

	if (status == 0)
		status = write_new(pub, PUBLIC_PREFIX, public_key, KEY_PUBLIC, 0644, f);
	sodium_memzero(secret, sizeof(secret));
	free(pub);
	free(key);
	return status;
}

int
secret_load(struct secret *s, const char *path, struct fault *f)
{
	uint8_t public_key[KEY_PUBLIC], seed[crypto_sign_SEEDBYTES], again[KEY_SECRET];
	int status = read_line(s->key, KEY_SECRET, SECRET_PREFIX, path, f);

	if (status != 0)
		return status;
	crypto_sign_ed25519_sk_to_seed(seed, s->key);
	crypto_sign_seed_keypair(public_key, again, seed);
	if (memcmp(again, s->key, KEY_SECRET) != 0)
		return fault_set(f, PKG_CORRUPT, "%s: its two halves do not belong together", path);
	id_of(s->id, public_key);
	return 0;
}

void
signature_add(struct buffer *b, const struct secret *s, const void *text, size_t length)
{
	uint8_t signature[SIGNATURE];
	char id[2 * KEY_ID + 1], hex[2 * SIGNATURE + 1];

	crypto_sign_detached(signature, NULL, text, length, s->key);
	hex_encode(id, s->id, KEY_ID);
	hex_encode(hex, signature, SIGNATURE);
	buffer_format(b, "ed25519 %s %s\n", id, hex);
}

static const struct key *
key_by_id(const struct keys *k, const uint8_t id[KEY_ID])
{
	for (size_t i = 0; i < k->count; i++) {
		if (memcmp(k->items[i].id, id, KEY_ID) == 0)
			return &k->items[i];
	}
	return NULL;
}

int
signature_check(const struct keys *k, const char *lines, const void *text, size_t length,
    const char *where, struct fault *f)
{
	enum { LINE = 8 + 2 * KEY_ID + 1 + 2 * SIGNATURE };
	const char *known = NULL;
	char last[2 * KEY_ID + 1] = "";

	for (const char *l = lines; strncmp(l, "ed25519 ", 8) == 0; l++) {
		char id_hex[2 * KEY_ID + 1] = {0}, hex[2 * SIGNATURE + 1] = {0};
		uint8_t id[KEY_ID], signature[SIGNATURE];
		size_t n = strcspn(l, "\n");

		if (n != LINE || l[8 + 2 * KEY_ID] != ' ')
			return fault_set(f, PKG_CORRUPT, "%s: a broken signature line", where);
		memcpy(id_hex, l + 8, 2 * KEY_ID);
		memcpy(hex, l + 8 + 2 * KEY_ID + 1, 2 * SIGNATURE);
		if (!hex_decode(id, KEY_ID, id_hex) || !hex_decode(signature, SIGNATURE, hex))
			return fault_set(f, PKG_CORRUPT, "%s: a broken signature line", where);
		memcpy(last, id_hex, sizeof(last));
		const struct key *key = key_by_id(k, id);

		if (key != NULL) {
			known = key->name;
			if (crypto_sign_verify_detached(signature, text, length, key->public_key) == 0)
				return 0;
		}
		l += n;
		if (*l == '\0')
			break;
	}
	if (known != NULL)
		return fault_set(f, PKG_UNTRUSTED,
		    "%s: the signature by %s is wrong: the file was changed after it was signed", where, known);
	if (last[0] == '\0')
		return fault_set(f, PKG_UNTRUSTED, "%s is not signed", where);
	return fault_set(f, PKG_UNTRUSTED,
	    "%s is signed by key %s, which is not trusted here; put its .pub file into etc/pkg/keys if you trust it",
	    where, last);
}
