/* SPDX-License-Identifier: MIT */
/*
 * threads N: N threads at once, each with memory of its own and a mutex and a
 * condition that all of them share; the last line says what they counted.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER;
static unsigned here, count, sum;
static _Thread_local unsigned mine;

static void *
work(void *argument)
{
	mine = *(unsigned *)argument;
	pthread_mutex_lock(&lock);
	if (++here == count)
		pthread_cond_broadcast(&all_here);
	while (here < count)
		pthread_cond_wait(&all_here, &lock);
	sum += mine;
	pthread_mutex_unlock(&lock);
	return NULL;
}

int
main(int argc, char **argv)
{
	unsigned *numbers, started = 0;
	pthread_attr_t attributes;
	pthread_t *threads;

	count = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
	threads = calloc(count, sizeof(*threads));
	numbers = calloc(count, sizeof(*numbers));
	if (threads == NULL || numbers == NULL || pthread_attr_init(&attributes) != 0)
		return 1;
	pthread_attr_setstacksize(&attributes, 65536);
	for (; started < count; started++) {
		numbers[started] = started + 1;
		if (pthread_create(&threads[started], &attributes, work, &numbers[started]) != 0) {
			printf("FAIL thread %u of %u cannot be made\n", started + 1, count);
			return 1;
		}
	}
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	printf("%u threads counted %u\n", count, sum);
	return sum != count * (count + 1) / 2;
}
