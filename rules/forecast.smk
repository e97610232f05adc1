"""What a study will take, before it is run."""


rule forecast_costs:
    input:
        audit=audit_to_forecast,
        costs=packaged(package_files("cfmf/workflow/costs.tsv")),
        code=code("forecast_costs"),
    output:
        forecast=result("forecast"),
    log:
        log_of("forecast_costs"),
    benchmark:
        benchmark_of("forecast_costs")
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 0),
        runtime=minutes(10, 0),
    params:
        config=config,
        cores=MACHINE.cores,
        memory_mb=MACHINE.memory_mb,
        blocks=BLOCKS,
    script:
        "../scripts/forecast_costs.py"


rule forecast:
    # without outputs, so that it is printed every time
    input:
        forecasts=plan.studied("forecast"),
        code=code("forecast"),
    log:
        log_of("forecast", dataset=ACROSS),
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=megabytes(500, 0),
        runtime=minutes(10, 0),
    params:
        heads=forecast_heads,
        cores=MACHINE.cores,
        memory_mb=MACHINE.memory_mb,
    script:
        "../scripts/forecast.py"
