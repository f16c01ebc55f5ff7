/* SPDX-License-Identifier: MIT */
/* The personality's own functions beside libc's.  memcpy and memset are assembly on the target: libc's here. */
#define memmove lx_memmove
#define memcmp lx_memcmp
#define memchr lx_memchr
#define strlen lx_strlen
#define strnlen lx_strnlen
#define strcmp lx_strcmp
#define strncmp lx_strncmp
#define strchr lx_strchr
#define strrchr lx_strrchr
#define strlcpy lx_strlcpy
#define kstrdup lx_kstrdup
