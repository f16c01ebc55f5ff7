/* SPDX-License-Identifier: MIT */
/* libfdt includes <stdlib.h>; the parts of libfdt that we take use none of it. */
