/* SPDX-License-Identifier: MIT */
/* The radix tree against a table of all indices used; an empty tree has no memory left (ASan). */

enum { KEYS = 400, ROUNDS_RADIX = 300000 };

static uint64_t key[KEYS];
static void *value[KEYS];

static int
key_index(uint64_t k)
{
	for (int i = 0; i < KEYS; i++)
		if (key[i] == k)
			return i;
	return -1;
}

/* radix_next gives all that is there in order. */
static void
check_order(void *const *root)
{
	uint64_t at = 0;
	unsigned seen = 0, want = 0;
	bool first = true;
	uint64_t last = 0;

	for (;;) {
		void *v = radix_next(root, &at);
		int i;

		if (v == NULL)
			break;
		i = key_index(at);
		CHECK(i >= 0 && value[i] == v);
		CHECK(first || at > last);
		first = false;
		last = at;
		seen++;
		if (at == UINT64_MAX)
			break;
		at++;
	}
	for (int i = 0; i < KEYS; i++)
		want += value[i] != NULL;
	CHECK(seen == want);
}

static int
test_radix(void)
{
	void *root = NULL;

	host_init();
	radix_init();
	for (int i = 0; i < KEYS; i++) {
		do
			key[i] = rnd() >> (rnd() % 64);
		while (i > 0 && key_index(key[i]) != i);
	}
	key[0] = UINT64_MAX;
	for (unsigned n = 0; n < ROUNDS_RADIX; n++) {
		int i = (int)(rnd() % KEYS);

		CHECK(radix_get(&root, key[i]) == value[i]);
		if (rnd() % 32 == 0)
			host_fail_after = (long)(rnd() % 4);
		if (value[i] != NULL && (rnd() & 1)) {
			CHECK(radix_remove(&root, key[i]) == value[i]);
			value[i] = NULL;
		} else {
			void *v = (void *)(rnd() | 1);

			if (radix_set(&root, key[i], v) == 0)
				value[i] = v;
			else
				CHECK(value[i] == NULL);
		}
		host_fail_after = -1;
		if (n % 1000 == 0)
			check_order(&root);
	}
	for (int i = 0; i < KEYS; i++)
		CHECK(radix_remove(&root, key[i]) == value[i]);
	CHECK(root == NULL);
	printf("test_radix: ok\n");
	return 0;
}
