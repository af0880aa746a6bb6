# What the tests of the runtime and of linking need beyond btc_compiler; tests/CMakeLists.txt includes it after
# it has made the targets. btc_parallel comes from the objects that artefacts get: only gcc compiles it rightly.
set(objects ${CMAKE_BINARY_DIR}/runtime)
set(parallel ${objects}/${CMAKE_SYSTEM_PROCESSOR}/parallel_omp.o ${objects}/${CMAKE_SYSTEM_PROCESSOR}/threads.o)
set_source_files_properties(${parallel} PROPERTIES GENERATED TRUE EXTERNAL_OBJECT TRUE)
foreach(name test_runtime fuzz_state)
    if(TARGET ${name})
        target_sources(${name} PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fake_model.c
            ${parallel})
        target_link_libraries(${name} PRIVATE btc_runtime_host gomp)
        add_dependencies(${name} btc_runtime_blob)
    endif()
endforeach()
target_link_libraries(test_sample PRIVATE btc_runtime_host)
target_compile_definitions(test_libc_symbols PRIVATE BTC_RUNTIME_OBJECTS="${objects}")
add_dependencies(test_libc_symbols btc_runtime_blob)
foreach(name test_link test_program test_reload)
    target_compile_definitions(${name} PRIVATE BTC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
endforeach()
