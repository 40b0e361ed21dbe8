module photofinish-go

go 1.19
