/* SPDX-License-Identifier: MIT *
 * prove: refill_at refill_drop_head refill_append sched_context_charge sched_context_ready sched_context_activate
 * inline: sched_context_limited
 */
/*
 * The ring of refills: always one entry at least and REFILLS at most, whatever
 * is charged.
 */
#include <kernel/core.h>

/*@
  predicate ring(struct sched_context *sc) = \valid(sc) &&
	1 <= sc->refills <= REFILLS && sc->head < REFILLS;
*/

/*@
  requires \valid(sc) && sc->head < REFILLS && n <= REFILLS;
  exits \false;
  assigns \nothing;
  ensures \result == &sc->refill[(sc->head + n) % REFILLS];
  ensures \valid(\result);
*/
static struct refill *refill_at(struct sched_context *sc, unsigned n);

/*@
  requires ring(sc);
  exits \false;
  assigns sc->head, sc->refills;
  ensures sc->refills == \old(sc->refills) - 1 && sc->head < REFILLS;
*/
static void refill_drop_head(struct sched_context *sc);

/*@
  requires \valid(sc) && sc->refills <= REFILLS && sc->head < REFILLS;
  exits \false;
  assigns sc->refills, sc->refill[0 .. REFILLS - 1];
  ensures ring(sc);
  ensures \old(sc->refills) < REFILLS ==> sc->refills == \old(sc->refills) + 1;
  ensures \old(sc->refills) == REFILLS ==> sc->refills == REFILLS;
*/
static void refill_append(struct sched_context *sc, uint64_t when, uint64_t amount);

/*@
  requires ring(sc);
  exits \false;
  assigns sc->consumed, sc->head, sc->refills, sc->refill[0 .. REFILLS - 1];
  ensures ring(sc);
  ensures sc->configured == 0 ==> sc->refills == \old(sc->refills);
*/
void sched_context_charge(struct sched_context *sc, uint64_t ticks);

/*@
  requires ring(sc);
  exits \false;
  assigns sc->head, sc->refills, sc->refill[0 .. REFILLS - 1];
  ensures ring(sc);
*/
bool sched_context_ready(struct sched_context *sc, uint64_t now);

/*@
  requires ring(sc);
  exits \false;
  assigns sc->head, sc->refills, sc->refill[0 .. REFILLS - 1];
  ensures ring(sc);
*/
void sched_context_activate(struct sched_context *sc, uint64_t now);

#include "../core/sched_context.c"
