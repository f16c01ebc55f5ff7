/* SPDX-License-Identifier: MIT */
/*
 * What the provers are told about shifts and division.  These few lines are
 * believed, not proved; each is school arithmetic.
 */
#ifndef VERIFY_POWERS_H
#define VERIFY_POWERS_H

/*@
  axiomatic powers {
	logic integer pow2(integer n);
	axiom pow2_0: pow2(0) == 1;
	axiom pow2_next: \forall integer n; n >= 0 ==> pow2(n + 1) == 2 * pow2(n);
	axiom pow2_more: \forall integer n, m; 0 <= n <= m ==> pow2(n) <= pow2(m);
	axiom shift_left: \forall integer a, n; a >= 0 && n >= 0 ==> (a << n) == a * pow2(n);
	axiom shift_right: \forall integer a, n; a >= 0 && n >= 0 ==> (a >> n) == a / pow2(n);
	axiom pow2_positive: \forall integer n; n >= 0 ==> pow2(n) >= 1;
	axiom round_down: \forall integer a, p; a >= 0 && p >= 1 ==> a - p < (a / p) * p <= a;
	axiom fits: \forall integer n, a, p; a >= 0 && p >= 1 && n <= a / p ==> n * p <= a;
  }
*/

#endif
