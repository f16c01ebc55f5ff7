/* SPDX-License-Identifier: MIT */
/*
 * Properties of lib/: strings and printf agree with libc, the heap gives back in
 * order, ChaCha20 is RFC 8439's, random streams differ and erase themselves, the
 * slab hands out disjoint aligned memory and gives pages back.
 */
#include <proto/world.h>

#include "../../time/clocks.h"
#include "heap.h"
#include "page.h"
#include "random.h"
#include "task.h"

#undef memmove
#undef memcmp
#undef memchr
#undef strlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strrchr

int printf(const char *, ...);
int snprintf(char *, unsigned long, const char *, ...);
void *aligned_alloc(unsigned long, unsigned long);
void exit(int) __attribute__((noreturn));
int memcmp(const void *, const void *, unsigned long);
int strcmp(const char *, const char *);
unsigned long strlen(const char *);

#define CHECK(c) do { if (!(c)) { printf("%s:%d: %s\n", __FILE__, __LINE__, #c); exit(1); } } while (0)

static uint64_t seed = 1;

static uint64_t
rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---- strings ---- */

static int sign(int v) { return (v > 0) - (v < 0); }

static void
memmove_moves_any_overlap(void)
{
	unsigned char a[160], b[160];

	for (int i = 0; i < 200000; i++) {
		unsigned from = (unsigned)rnd() % 64, to = (unsigned)rnd() % 64, n = (unsigned)rnd() % 96;

		for (unsigned k = 0; k < sizeof(a); k++)
			a[k] = b[k] = (unsigned char)rnd();
		CHECK(lx_memmove(a + to, a + from, n) == a + to);
		__builtin_memmove(b + to, b + from, n);
		CHECK(memcmp(a, b, sizeof(a)) == 0);
	}
}

static void
strings_agree_with_libc(void)
{
	char a[24], b[24];

	for (int i = 0; i < 200000; i++) {
		unsigned n = (unsigned)rnd() % 20, m = (unsigned)rnd() % 20, k = (unsigned)rnd() % 24;

		for (unsigned j = 0; j < sizeof(a); j++) {
			a[j] = "abc\xff"[rnd() % 4];
			b[j] = rnd() % 8 ? a[j] : "abc\xff"[rnd() % 4];
		}
		a[n] = b[m] = 0;
		CHECK(lx_strlen(a) == strlen(a));
		CHECK(lx_strnlen(a, k) == (strlen(a) < k ? strlen(a) : k));
		CHECK(sign(lx_strcmp(a, b)) == sign(strcmp(a, b)));
		CHECK(sign(lx_strncmp(a, b, k)) == sign(__builtin_strncmp(a, b, k)));
		CHECK(sign(lx_memcmp(a, b, k)) == sign(memcmp(a, b, k)));
		CHECK(lx_strchr(a, 'b') == __builtin_strchr(a, 'b'));
		CHECK(lx_strrchr(a, 'b') == __builtin_strrchr(a, 'b'));
		CHECK(lx_strchr(a, 0) == a + n);
		CHECK(lx_memchr(a, 'c', k) == __builtin_memchr(a, 'c', k));
	}
	CHECK(lx_strlcpy(a, "hello", 3) == 5 && strcmp(a, "he") == 0);
	CHECK(lx_strlcpy(a, "hello", 24) == 5 && strcmp(a, "hello") == 0);
}

/* ---- printf ---- */

#define SAME(...) do { \
	char x[128], y[128]; \
	int n = ksnprintf(x, sizeof(x), __VA_ARGS__), m = snprintf(y, sizeof(y), __VA_ARGS__); \
	if (n != m || strcmp(x, y) != 0) { printf("ours \"%s\" (%d), libc's \"%s\" (%d)\n", x, n, y, m); exit(1); } \
	n = ksnprintf(x, 5, __VA_ARGS__); \
	m = snprintf(y, 5, __VA_ARGS__); \
	CHECK(n == m && strcmp(x, y) == 0); } while (0)

static void
printf_agrees_with_libc(void)
{
	static const int64_t numbers[] = { 0, 1, -1, 9, 10, 255, -4096, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN };

	for (unsigned i = 0; i < ARRAY_LEN(numbers); i++) {
		int64_t v = numbers[i];
		int w = (int)v;

		SAME("%d|%5d|%-5d|%05d|%+d|% d", w, w, w, w, w, w);
		SAME("%u|%x|%#x|%X|%#o|%08x|%-8x|", (unsigned)w, (unsigned)w, (unsigned)w, (unsigned)w, (unsigned)w,
		    (unsigned)w, (unsigned)w);
		SAME("%ld|%20ld|%-20ld|%020ld|%lu|%lx", (long)v, (long)v, (long)v, (long)v, (unsigned long)v,
		    (unsigned long)v);
		SAME("%lld|%zu|%jd|%td", (long long)v, (size_t)v, (intmax_t)v, (ptrdiff_t)v);
		SAME("%hd|%hhd|%hu|%hhx", (short)v, (signed char)v, (unsigned short)v, (unsigned char)v);
		SAME("%.3d|%8.3d|%-8.3d|%.0d|%08.3d", w, w, w, w, w);
		SAME("%*d|%-*d|%.*d", 7, w, 7, w, 4, w);
	}
	SAME("%s|%10s|%-10s|%.2s|%10.2s|%c%%%5c|%-5c|", "text", "text", "text", "text", "text", 'a', 'b', 'c');
	SAME("%p", (void *)0x1234);
	SAME("plain");
	CHECK(ksnprintf(NULL, 0, "%d", 12345) == 5);
}

/* ---- heap ---- */

static void
heap_gives_the_least_first(void)
{
	enum { N = 300 };
	static struct heap_node node[N];
	static bool in[N];
	struct heap h = { NULL };
	unsigned count = 0;

	for (int i = 0; i < 200000; i++) {
		unsigned k = (unsigned)rnd() % N;
		uint64_t least = UINT64_MAX;

		if (in[k]) {
			heap_remove(&h, &node[k]);
			count--;
		} else {
			node[k].key = rnd() % 50;
			heap_insert(&h, &node[k]);
			count++;
		}
		in[k] = !in[k];
		if (i % 16 != 0)
			continue;
		for (unsigned j = 0; j < N; j++)
			if (in[j] && node[j].key < least)
				least = node[j].key;
		CHECK(heap_empty(&h) == (count == 0));
		CHECK(count == 0 || heap_first(&h)->key == least);
	}
	uint64_t last = 0;

	while (!heap_empty(&h)) {
		struct heap_node *n = heap_first(&h);

		CHECK(n->key >= last);
		last = n->key;
		heap_remove(&h, n);
		count--;
	}
	CHECK(count == 0);
}

/* ---- what the files under test need ---- */

static unsigned cpu;
unsigned cpu_id(void) { return cpu; }
uint64_t irq_save(void) { return 0; }
void irq_restore(uint64_t f) { (void)f; }
void spin_init(spinlock_t *l, unsigned rank) { *l = (spinlock_t)SPINLOCK_INIT(rank); }
void spin_lock(spinlock_t *l) { CHECK(l->next == 0); l->next = 1; }
void spin_unlock(spinlock_t *l) { CHECK(l->next == 1); l->next = 0; }
uint64_t spin_lock_irqsave(spinlock_t *l) { spin_lock(l); return 0; }
void spin_unlock_irqrestore(spinlock_t *l, uint64_t f) { (void)f; spin_unlock(l); }
uint64_t clock_ticks(void) { return rnd(); }

/* ---- random ---- */

static void
chacha20_is_that_of_rfc_8439(void)
{
	static const uint32_t want[16] = {	/* 2.3.2 */
		0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033, 0x9aaa2204, 0x4e6cd4c3,
		0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9, 0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2,
	};
	uint8_t key[32];
	uint32_t words[8], out[16];

	for (unsigned i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	memcpy(words, key, sizeof(key));
	chacha20_block(words, 1 | 0x09000000UL << 32, 0x4a000000, out);
	CHECK(memcmp(out, want, sizeof(want)) == 0);
}

static void
random_streams_differ(void)
{
	static uint8_t a[5000], b[5000];
	static struct world_info w = { .seed_bytes = 32, .seed = { 1, 2, 3 } };
	unsigned ones = 0;

	CHECK(!random_ready());
	random_init(&w);
	CHECK(random_ready());
	random_bytes(a, sizeof(a));
	cpu = 1;
	random_bytes(b, sizeof(b));
	cpu = 0;
	for (unsigned i = 0; i + 16 <= sizeof(a); i += 16)
		CHECK(memcmp(a + i, b + i, 16) != 0);
	for (unsigned i = 0; i < sizeof(a); i++)
		ones += (unsigned)__builtin_popcount(a[i]);
	CHECK(ones > sizeof(a) * 4 * 95 / 100 && ones < sizeof(a) * 4 * 105 / 100);
}

/* ---- slab ---- */

enum { RAM_PAGES = 8192 };
struct page *page_array;
uint64_t page_base;
static long slab_pages, pages_out;
static bool page_used[RAM_PAGES];

struct page *
pages_alloc(unsigned order, unsigned flags)
{
	unsigned n = 1u << order;

	(void)flags;
	for (unsigned at = 0; at + n <= RAM_PAGES; at += n) {
		bool clear = true;

		for (unsigned i = 0; i < n; i++)
			clear &= !page_used[at + i];
		if (!clear)
			continue;
		for (unsigned i = 0; i < n; i++) {
			page_used[at + i] = true;
			page_array[at + i].flags = 0;
		}
		page_array[at].order = (uint8_t)order;
		pages_out += n;
		return &page_array[at];
	}
	return NULL;
}

void
pages_free(struct page *p, unsigned order)
{
	for (unsigned i = 0; i < 1u << order; i++) {
		CHECK(page_used[p - page_array + i]);
		page_used[p - page_array + i] = false;
	}
	pages_out -= 1L << order;
}

void pages_account(unsigned kind, long n) { CHECK(kind == PAGES_SLAB); slab_pages += n; }

static void
slab_memory_is_disjoint_and_comes_back(void)
{
	enum { N = 1500 };
	static struct { unsigned char *p; size_t n; unsigned char fill; } a[N];
	static struct page array[RAM_PAGES];
	char *ram = aligned_alloc(1UL << 22, (unsigned long)RAM_PAGES * PAGE_SIZE);

	page_array = array;
	page_base = (uint64_t)ram >> PAGE_SHIFT;
	slab_init();
	struct kcache *c = kcache_create("odd", 200, 8);

	CHECK(c != NULL);
	for (int i = 0; i < 300000; i++) {
		unsigned k = (unsigned)rnd() % N;

		cpu = (unsigned)rnd() % 3;
		if (a[k].p != NULL) {
			for (size_t j = 0; j < a[k].n; j += 7)
				CHECK(a[k].p[j] == a[k].fill);
			CHECK(a[k].p[a[k].n - 1] == a[k].fill);
			if (a[k].n == 200)
				kcache_free(c, a[k].p);
			else if (rnd() % 4 == 0 && a[k].n < 3000) {
				a[k].p = krealloc(a[k].p, a[k].n * 2);
				for (size_t j = 0; j < a[k].n; j++)
					CHECK(a[k].p[j] == a[k].fill);
				__builtin_memset(a[k].p, a[k].fill, a[k].n * 2);
				a[k].n *= 2;
				continue;
			} else
				kfree(a[k].p);
			a[k].p = NULL;
			continue;
		}
		a[k].n = rnd() % 3 == 0 ? 200 : 1 + rnd() % (rnd() % 64 == 0 ? 20000 : 700);
		a[k].n += a[k].n == 200 && rnd() % 2 == 0;
		a[k].fill = (unsigned char)rnd();
		a[k].p = a[k].n == 200 ? kcache_zalloc(c) : kmalloc(a[k].n);
		CHECK(a[k].p != NULL);
		CHECK(((uintptr_t)a[k].p & (a[k].n >= 64 ? 63 : 15)) == 0);
		if (a[k].n == 200)
			for (unsigned j = 0; j < 200; j++)
				CHECK(a[k].p[j] == 0);
		__builtin_memset(a[k].p, a[k].fill, a[k].n);
	}
	for (unsigned k = 0; k < N; k++)
		if (a[k].n == 200)
			kcache_free(c, a[k].p);
		else
			kfree(a[k].p);
	/* What is left: magazines' objects and a few empty slabs of each cache. */
	CHECK(slab_pages < 600 && pages_out >= slab_pages && pages_out < slab_pages + 8);
	CHECK(kmalloc(5UL << 20) == NULL);
}

/* ---- time ---- */

static void
periods_are_counted_exactly(void)
{
	uint64_t deadline = 100;

	CHECK(periods_over(150, &deadline, 0) == 1 && deadline == 100);
	CHECK(periods_over(100, &deadline, 10) == 1 && deadline == 110);
	CHECK(periods_over(149, &deadline, 10) == 4 && deadline == 150);
	CHECK(periods_over(150, &deadline, 10) == 1 && deadline == 160);
}

int
main(void)
{
	memmove_moves_any_overlap();
	strings_agree_with_libc();
	printf_agrees_with_libc();
	heap_gives_the_least_first();
	chacha20_is_that_of_rfc_8439();
	random_streams_differ();
	slab_memory_is_disjoint_and_comes_back();
	periods_are_counted_exactly();
	printf("8 passed, 0 failed\n");
	return 0;
}
