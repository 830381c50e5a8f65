/** @file export.h
 * Marks of the public interface: what the shared library exports, and what compilers may check. */
#ifndef SKUA_EXPORT_H
#define SKUA_EXPORT_H

#if defined(__GNUC__)
/** Exported by the library. */
#define SKUA_API          __attribute__((visibility("default")))
/** Argument f is a printf format and its values start at argument a. */
#define SKUA_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SKUA_API
#define SKUA_PRINTF(f, a)
#endif

/** @def SKUA_BEGIN_DECLS
 * Before declarations that C++ is to see as C. */
/** @def SKUA_END_DECLS
 * After them. */
#ifdef __cplusplus
#define SKUA_BEGIN_DECLS extern "C" {
#define SKUA_END_DECLS   }
#else
#define SKUA_BEGIN_DECLS
#define SKUA_END_DECLS
#endif

#endif
